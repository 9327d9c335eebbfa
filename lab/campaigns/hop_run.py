"""One hop as it is measured: get the lab there, upgrade it, and keep what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from keystone_rollout.domain.releases.release import parse_release
from keystone_rollout.hooks.locust.generator import LoadGeneratorError, LoadGeneratorHook
from lab import rehearsal
from lab import up as bring_up
from lab.airflow.upgrade_run import UpgradeRun
from lab.campaigns.hop_list import ReleasePair
from lab.campaigns.hop_record import Ground, HopRecord, Schema, measured, not_run
from lab.campaigns.publishable import publishable
from lab.data import version_tables
from lab.hop import Hop, plan_hop
from lab.rehearsal import OnEvent
from lab.releases import distribution
from lab.releases.builds import choose_builds
from machine.errors import CommandError
from machine.progress import Report

Bring = Callable[[Hop, Report], None]
"""Gets the lab to the source release of a hop, with all that its upgrade needs."""


def utc_now() -> str:
    """Return the present second."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def run_hop(
    pair: ReleasePair,
    began: str,
    report: Report,
    *,
    bring: Bring = bring_up.up,
    clouds: Path | None = None,
    on_run: Callable[[UpgradeRun], OnEvent] | None = None,
) -> HopRecord:
    """Measure one hop; whatever goes wrong is in the record, and nothing is raised.

    A hop for which the lab could not be got ready is "not run", with the error's text.

    :param began: time of the command that measures, see HopRecord.run
    :param clouds: folder with another cloud file of the lab
    :param on_run: is told of the run before its start, and returns who is told of its events
    """
    now, ground = utc_now(), Ground()
    report.line(f"hop {pair.key}: {pair.title}")
    began_lab = time.monotonic()
    try:
        hop = plan_hop(pair.source.version, pair.target.version)
        ground = ground_of(hop)
        bring(hop, report)
        schema = Schema(
            tables_before=version_tables.read_version_tables(),
            triggers_before=version_tables.count_triggers(),
        )
    # One hop's failure, whatever it is, is that hop's row and stops no other.
    except Exception as error:
        reason = (
            str(error) if isinstance(error, CommandError) else f"{type(error).__name__}: {error}"
        )
        report.line(f"hop {pair.key} was not run: {reason}")
        record = not_run(pair, ground, reason, began=now, run=began, lacks_sources=_excused(pair))
        return _published(record)
    lab_seconds = time.monotonic() - began_lab
    run = rehearsal.new_run(hop, clouds)
    failed, upgrade_seconds = _upgrade(run, hop, report, on_run)
    try:
        tables, triggers = version_tables.read_version_tables(), version_tables.count_triggers()
        schema = replace(schema, tables_after=tables, triggers_after=triggers)
    except CommandError as error:
        failed.append(f"the schema afterwards: {error}")
    return _published(
        measured(
            pair,
            ground,
            run.report(),
            failed,
            schema,
            began=now,
            run=began,
            lab_seconds=lab_seconds,
            upgrade_seconds=upgrade_seconds,
        )
    )


def _published(record: HopRecord) -> HopRecord:
    """Return the record as it may stand in the repository."""
    return replace(record, reason=publishable(record.reason))


def _upgrade(
    run: UpgradeRun,
    hop: Hop,
    report: Report,
    on_run: Callable[[UpgradeRun], OnEvent] | None,
) -> tuple[list[str], float]:
    """Run the DAG; return the checks that failed, and the seconds it took."""
    began = time.monotonic()
    try:
        on_event = on_run(run) if on_run else None
        outcome = rehearsal.upgrade(run, hop, report, on_event)
    except BaseException as error:
        end(run)
        if not isinstance(error, Exception):
            raise
        return [f"{type(error).__name__}: {error}"], time.monotonic() - began
    failed = [f"{each.what}: {each.measured} (limit {each.limit})" for each in outcome.failed]
    return failed, outcome.seconds


def _excused(pair: ReleasePair) -> bool:
    """Return whether a hop was not run for want of its sources, and for nothing else."""
    try:
        return lacks_sources(pair)
    except CommandError:
        return False


def end(run: UpgradeRun) -> None:
    """End a run that nobody follows any more, and its load, which outlives it."""
    if run.airflow.process is not None and not run.ended():
        run.kill()
    if run.directory is None:
        return
    for session in (run.directory / "load").glob("*"):
        with suppress(LoadGeneratorError):
            LoadGeneratorHook(session).stop()


def ground_of(hop: Hop) -> Ground:
    """Return on what the two releases of a hop run."""
    return Ground(hop.source.python, hop.target.python, hop.source.suite, hop.own_cache)


def lacks_sources(pair: ReleasePair) -> bool:
    """Return whether a release of the pair is neither on PyPI nor in KEYSTONE_DIST.

    Raises CommandError where that folder is no good: then nobody knows.
    """
    builds = choose_builds(parse_release(pair.source.version), parse_release(pair.target.version))
    return any(
        not build.release.series.on_pypi and distribution.find(build) is None for build in builds
    )
