"""One hop as it is measured: get the lab there, upgrade it, and keep what was seen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from hooks.load_generator import LoadGeneratorError, LoadGeneratorHook
from lab import rehearsal, version_tables
from lab import up as bring_up
from lab.catalogue import check_pair, find_release
from lab.errors import LabError
from lab.hop_list import ReleasePair
from lab.hop_record import Ground, HopRecord, Schema, measured, not_run
from lab.progress import Report
from lab.rehearsal import OnEvent
from lab.upgrade_run import UpgradeRun
from rollout.releases import own_cache_reasons, parse_release

Bring = Callable[[str, str, Report], None]
"""Gets the lab to a source release, with all that an upgrade to a target needs."""


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
        ground = ground_of(pair)
        bring(pair.source.version, pair.target.version, report)
    # One hop's failure, whatever it is, is that hop's row and stops no other.
    except Exception as error:
        reason = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
        report.line(f"hop {pair.key} was not run: {reason}")
        return not_run(
            pair, ground, reason, began=now, run=began, lacks_sources=lacks_sources(pair)
        )
    lab_seconds = time.monotonic() - began_lab
    run = rehearsal.new_run(pair.source.version, pair.target.version, clouds)
    tables, triggers = version_tables.read_version_tables(), version_tables.count_triggers()
    failed, upgrade_seconds = _upgrade(run, pair, report, on_run)
    schema = Schema(tables, {}, triggers)
    try:
        schema = Schema(
            tables,
            version_tables.read_version_tables(),
            triggers,
            version_tables.count_triggers(),
        )
    except LabError as error:
        failed.append(f"the schema afterwards: {error}")
    return measured(
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


def _upgrade(
    run: UpgradeRun,
    pair: ReleasePair,
    report: Report,
    on_run: Callable[[UpgradeRun], OnEvent] | None,
) -> tuple[list[str], float]:
    """Run the DAG; return the checks that failed, and the seconds it took."""
    began = time.monotonic()
    try:
        on_event = on_run(run) if on_run else None
        outcome = rehearsal.upgrade(run, pair.target.version, report, on_event)
    except Exception as error:
        end(run)
        return [f"{type(error).__name__}: {error}"], time.monotonic() - began
    failed = [f"{each.what}: {each.measured} (limit {each.limit})" for each in outcome.failed]
    return failed, outcome.seconds


def end(run: UpgradeRun) -> None:
    """End a run that nobody follows any more, and its load, which outlives it."""
    if run.airflow.process is not None and not run.ended():
        run.kill()
    if run.directory is None:
        return
    for session in (run.directory / "load").glob("*"):
        with suppress(LoadGeneratorError):
            LoadGeneratorHook(session).stop()


def ground_of(pair: ReleasePair) -> Ground:
    """Return on what the two releases run; LabError where they do not run together."""
    source, target = (find_release(side.version) for side in (pair.source, pair.target))
    check_pair(source, target)
    own = own_cache_reasons(parse_release(source.version), parse_release(target.version))
    return Ground(
        source.python.removeprefix("python"),
        target.python.removeprefix("python"),
        source.suite,
        bool(own),
    )


def lacks_sources(pair: ReleasePair) -> bool:
    """Return whether a release of the pair is neither on PyPI nor in KEYSTONE_DIST."""
    wanted = [side for side in (pair.source, pair.target) if not side.on_pypi]
    folder = os.environ.get("KEYSTONE_DIST", "")
    return any(
        not folder or not list(Path(folder).glob(f"keystone-{side.version}[.-]*"))
        for side in wanted
    )
