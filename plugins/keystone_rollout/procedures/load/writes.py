"""Check the acknowledged writes of every load session of a run, and clean up after them."""

from __future__ import annotations

import logging

from keystone_rollout.domain.run.events import Noted, WritesChecked
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


def check_writes(run: RolloutRun) -> list[Verdict]:
    """Return one verdict for each session that was not checked yet.

    The objects of a session are removed once all of them were found, unless load.clean_up is off; a
    session with a missing write keeps its users, so that somebody can look, and one whose check
    could not be recorded keeps them for the check that follows.
    """
    session = LoadSession(run)
    checked = {event.session for event in run.directory.events(WritesChecked)}
    verdicts = []
    for number, generator in enumerate(session.sessions(), start=1):
        if number in checked:
            continue
        writes = run.keystone.writes(run.keystone.account())
        found = writes.check(generator.directory / "ledger.jsonl")
        verdict = found.verdict()
        recorded = run.directory.record(WritesChecked(session=number, **vars(found)))
        verdicts.append(verdict)
        if note := found.note():
            log.warning(note)
            run.directory.record(Noted(text=note))
        if verdict.ok and recorded and run.cloud.load.clean_up:
            prefix = session.name_prefixes()[number - 1]
            log.info("Removed what the load made as %s-...: %s", prefix, writes.remove(prefix))
    return verdicts
