"""Measure one hop: get the lab to its source, upgrade it, and keep the result as a row."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from keystone_rollout.domain.releases.catalogue import Series
from keystone_rollout.hooks.locust.generator import LoadGeneratorError, LoadGeneratorHook
from lab import paths, rehearsal
from lab import up as bring_up
from lab.airflow.upgrade_run import UpgradeRun
from lab.campaigns.loop import utc_now
from lab.campaigns.pairs import ReleasePair
from lab.campaigns.row import Row, Side
from lab.cloud import database
from lab.hop import Hop, SourcesMissing, plan_hop
from lab.rehearsal import OnEvent
from machine.errors import CommandError
from machine.progress import Report

Bring = Callable[[Hop, Report], None]
"""Gets the lab to the source release of a hop, with everything that its upgrade needs."""

OnRun = Callable[[UpgradeRun], OnEvent]
"""Is called with a run before its start, and returns a function that gets its events."""

PHASES = ("expand", "migrate", "contract")
LAB_CLOUD = paths.ROOT / "include" / "clouds" / "lab.yaml"
RATE = 35
"""Actions per second: at 44 some releases fill two cores, which the upgrade needs, too."""

_ADDRESS = re.compile(r"https?://(?!packages/|127\.0\.0\.1)[^\s'\",)]+")
_HOST = re.compile(r"(?<=host=)(['\"]).*?\1")


def write_clouds(folder: Path, *, keep_users: bool = False) -> Path:
    """Write the lab's cloud file with that load into *folder*, and return the folder.

    :param keep_users: leave the load's objects, so that they can be looked up later
    """
    cloud = yaml.safe_load(LAB_CLOUD.read_text(encoding="utf-8"))
    cloud["load"]["profile"]["rate"] = RATE
    cloud["load"]["clean_up"] = not keep_users
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lab.yaml").write_text(yaml.safe_dump(cloud, sort_keys=False), encoding="utf-8")
    return folder


def run_hop(
    pair: ReleasePair,
    command: str,
    report: Report,
    *,
    bring: Bring = bring_up.up,
    clouds: Path | None = None,
    on_run: OnRun | None = None,
) -> Row:
    """Measure one hop; every error is in the row, and none is raised.

    A hop for which the lab could not be got ready is "not run", with the error's text.

    :param command: when the command began that measures, see Row.command
    :param clouds: folder with another cloud file of the lab
    """
    report.line(f"hop {pair.key}: {pair.title}")
    began_lab = time.monotonic()
    row = new_row(pair, command)
    try:
        hop = plan_hop(pair.source.version, pair.target.version)
        row = on_ground(row, hop)
        bring(hop, report)
        row = row.updated(
            tables_before=database.read_version_tables(),
            triggers_before=database.count_triggers(),
        )
    # Any failure of one hop is its row, and stops no other hop.
    except Exception as error:
        known = isinstance(error, CommandError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        report.line(f"hop {pair.key} was not run: {reason}")
        return row.updated(
            reason=publishable(reason), lacks_sources=isinstance(error, SourcesMissing)
        )
    row = row.updated(lab_seconds=round(time.monotonic() - began_lab, 1))
    run = rehearsal.new_run(hop, clouds)
    failed, seconds = _upgrade(run, hop, report, on_run)
    try:
        row = row.updated(
            tables_after=database.read_version_tables(),
            triggers_after=database.count_triggers(),
        )
    except CommandError as error:
        failed.append(f"the schema afterwards: {error}")
    return measured(row, run.report(), failed, seconds)


def new_row(pair: ReleasePair, command: str) -> Row:
    """Return the row of a hop that has not run yet."""

    def side(series: Series) -> Side:
        return Side(number=series.number, codename=series.codename, version=series.version)

    return Row(
        key=pair.key,
        title=pair.title,
        source=side(pair.source),
        target=side(pair.target),
        began=utc_now(),
        command=command,
    )


def on_ground(row: Row, hop: Hop) -> Row:
    """Return a row with the Pythons of its two releases."""
    source, target = (
        side.model_copy(update={"python": build.python})
        for side, build in ((row.source, hop.source), (row.target, hop.target))
    )
    return row.updated(
        source=source, target=target, suite=hop.source.suite, own_cache=hop.own_cache
    )


def measured(
    row: Row, report: Mapping[str, Any], failed_checks: list[str], upgrade_seconds: float
) -> Row:
    """Return the row of a hop whose upgrade ran.

    :param report: the run's report.json; empty if it wrote none
    :param failed_checks: the lab's own checks that failed afterwards, also of a green report
    """
    plan, load = report.get("plan") or {}, report.get("load") or {}
    versions = report.get("versions") or []
    triggers = [row.triggers_before, row.triggers_after, *(v.get("triggers") for v in versions)]
    row = row.updated(
        state="green",
        before=_texts(plan.get("state")),
        heads=_texts(plan.get("heads")),
        after=_texts(versions[-1]["versions"] if versions else None),
        triggers_most=max((count for count in triggers if count is not None), default=None),
        idle_phases=_idle(report),
        requests=int(load.get("requests") or 0),
        failures=load.get("failures"),
        p99=load.get("p99"),
        baseline_p99=load.get("baseline_p99"),
        longest_gap=load.get("longest_gap") if load.get("requests") else None,
        out_of_rotation={
            name: round(node["out_of_rotation"], 1)
            for name, node in sorted((report.get("nodes") or {}).items())
        },
        upgrade_seconds=round(upgrade_seconds, 1),
        run_id=str(report.get("run_id", "")),
    )
    if not failed_checks:
        return row
    return row.red(*(publishable(each) for each in [*failed_checks, *_why(report)]))


def publishable(text: str) -> str:
    """Return *text* without this checkout's path, and without addresses beyond the lab.

    pip names its package index, which may be a private one, with a password in its address.
    """
    text = text.replace(f"{paths.ROOT}/", "")
    return _HOST.sub("[host]", _ADDRESS.sub("[address]", text))


def _upgrade(
    run: UpgradeRun, hop: Hop, report: Report, on_run: OnRun | None
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


def end(run: UpgradeRun) -> None:
    """End a run that is not followed any more, and its load, which outlives it."""
    if run.airflow.process is not None and not run.ended():
        run.kill()
    if run.directory is None:
        return
    for session in (run.directory / "load").glob("*"):
        with suppress(LoadGeneratorError):
            LoadGeneratorHook(session).stop()


def _texts(versions: Mapping[str, Any] | None) -> dict[str, str]:
    """Return versions by phase as text; other fields than the three phases do not count."""
    found = versions or {}
    return {phase: str(found[phase]) for phase in PHASES if found.get(phase) not in (None, "")}


def _idle(report: Mapping[str, Any]) -> list[str]:
    """Return the phases that were passed without running keystone-manage."""
    ran = {step["name"] for step in report.get("steps") or []}
    passed = {each["after"] for each in report.get("versions") or []}
    return [phase for phase in PHASES if phase in passed and phase not in ran]


def _why(report: Mapping[str, Any]) -> list[str]:
    """Return the first step that failed and the first violated verdict, as the run says them."""
    steps = [each for each in report.get("steps") or [] if each["state"] == "failed"]
    found = [f"step {each['name']}: {each.get('reason', '')}" for each in steps[:1]]
    for verdict in (report.get("violated") or [])[:1]:
        found.append(
            f"{verdict['check']} ({verdict['object']}) at {verdict['gate']}: measured "
            f"{verdict['measured']}, limit {verdict['limit']}"
        )
    return found
