"""Judge between two steps: the run goes on only if every measured value is within its limit."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from keystone_rollout.domain.run.events import Judged, Look
from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.domain.run.systems import HeldVariable
from keystone_rollout.domain.verdict import Verdict, failed
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.run.run import GateClosed, RolloutRun

log = logging.getLogger(__name__)


def open_gate(run: RolloutRun, gate: str, variables: Iterable[HeldVariable] = ()) -> None:
    """Judge lock, load and the held variables; record and log every verdict.

    A cleared task finds lock, load and variables as their teardown left them, because clearing does
    not run the setup again. If they were ended on purpose, they are taken or started again here
    (procedures.run.end ends them once more); if they ended by themselves, that is a violation.
    Raises AirflowFailException naming each measured value and its limit.
    """
    hold_lock(run, gate)
    session = LoadSession(run)
    if session.was_stopped_on_purpose():
        session.start()
        session.measure_baseline()
    verdicts = session.judge()
    for variable in variables:
        if variable.original() is None:
            variable.set(run.directory.run_id)
        verdicts.append(variable.judge())
    require(run, gate, verdicts)


def hold_lock(run: RolloutRun, gate: str) -> LockHolder | None:
    """Take the cloud's lock, or raise AirflowFailException; return the run it was taken from."""
    verdict, broken = run.lock.take()
    if not verdict.ok:
        require(run, gate, [verdict])
    run.lock.keep_alive()
    return broken


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
