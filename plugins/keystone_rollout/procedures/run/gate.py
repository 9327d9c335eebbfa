"""Stand between two steps: nothing goes on unless everything measured is within its limit.

A gate looks and judges, and changes nothing in the cloud. What a teardown ended is taken up again
before it (procedures.run.resume), and the lock's heartbeat is renewed there and by watch_load.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from keystone_rollout.domain.run.events import Judged, LockChanged, LockState, Look
from keystone_rollout.domain.run.lock import judge_held
from keystone_rollout.domain.run.witness import Witness
from keystone_rollout.domain.verdict import Verdict, failed
from keystone_rollout.procedures.run.run import GateClosed, RolloutRun

log = logging.getLogger(__name__)


def open_gate(run: RolloutRun, gate: str, witnesses: Sequence[Witness]) -> None:
    """Judge whether this run has the lock, ask the witnesses, record and log every verdict.

    Raises GateClosed naming each violated one with its measured value and limit.
    """
    verdicts = [judge_own_lock(run)]
    for witness in witnesses:
        verdicts += witness.judge()
    require(run, gate, verdicts)


def judge_own_lock(run: RolloutRun) -> Verdict:
    """Return whether this run still holds the lock."""
    holder, released = run.lock.holder(), lock_was_released(run)
    return judge_held(run.cloud.name, holder, run.directory.identity(), released)


def lock_was_released(run: RolloutRun) -> bool:
    """Tell whether a teardown of this run released the lock, and it was not taken again."""
    event = run.directory.last(LockChanged)
    return event is not None and event.state is LockState.RELEASED


def require(
    run: RolloutRun, gate: str, verdicts: list[Verdict], look: Look = Look.BOUNDARY
) -> None:
    """Record and log verdicts; raise GateClosed if any is violated."""
    run.directory.record(Judged(gate=gate, verdicts=verdicts, look=look))
    for verdict in verdicts:
        log.log(logging.INFO if verdict.ok else logging.ERROR, "%s: %s", gate, verdict)
    violated = failed(verdicts)
    if violated:
        raise GateClosed(
            f"gate '{gate}' is closed, {len(violated)} of {len(verdicts)} checks failed:\n- "
            + "\n- ".join(str(verdict) for verdict in violated)
        )
