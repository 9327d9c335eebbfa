"""Ask after every fault what has to be true whatever struck: of the run, and of the lab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keystone_rollout.domain.node.server import ServerState
from lab.airflow.upgrade_run import UpgradeRun
from lab.cloud import balancer, database
from machine.errors import CommandError
from tests.scenarios.fault import Ends, Fault
from tests.scenarios.moments import Events
from tests.scenarios.scene import load_runs

STATES = {Ends.GREEN: "succeeded", Ends.RED: "failed"}
LOST = ("missing", "unable", "undead")
WHAT_TO_DO = ("Next:", "by hand", "set server")


@dataclass(frozen=True)
class Aftermath:
    """Hold what an ended run has left."""

    code: int
    words: str
    """All that the run said: its log, and the reasons of its failed steps."""
    events: Events
    report: Mapping[str, Any]
    has_page: bool
    load_runs: bool
    servers: Sequence[ServerState]
    variable: int
    locks: int

    @property
    def failures(self) -> int:
        """Return the run's failed requests."""
        return int((self.report.get("load") or {}).get("failures", 0))

    @property
    def requests(self) -> int:
        """Return the run's requests."""
        return int((self.report.get("load") or {}).get("requests", 0))


def gather(run: UpgradeRun, code: int, servers: Sequence[ServerState]) -> Aftermath:
    """Look at what a run has left; ``servers`` were read before the fault was undone."""
    return Aftermath(
        code=code,
        words=words_of(run),
        events=run.events(),
        report=run.report(),
        has_page=has_page(run.directory),
        load_runs=load_runs(run.directory),
        servers=servers,
        variable=database.trust_function_creators(),
        locks=count_locks(),
    )


def words_of(run: UpgradeRun) -> str:
    """Return what a run said; in a log, long lines may be broken, so the reasons come again."""
    reasons = [str(event["reason"]) for event in run.events() if event.get("reason")]
    return "\n".join([run.log_text(), *reasons])


def has_page(directory: Path | None) -> bool:
    """Tell whether a run has its report as a page."""
    return directory is not None and (directory / "report.html").is_file()


def count_locks() -> int:
    """Return how many clouds are locked; none where no upgrade ever ran."""
    there = database.execute(
        "SELECT COUNT(*) FROM information_schema.tables "
        "WHERE table_schema = 'keystone_rollout' AND table_name = 'upgrade_lock'"
    )
    if not there[0][0]:
        return 0
    return int(database.execute("SELECT COUNT(*) FROM keystone_rollout.upgrade_lock")[0][0])


def servers_now() -> list[ServerState]:
    """Return HAProxy's servers; none where it does not answer."""
    try:
        return balancer.servers()
    except CommandError:
        return []


def findings(aftermath: Aftermath, fault: Fault) -> list[str]:
    """Return what is not as it has to be, each with what was found and what was expected."""
    if fault.ends in (Ends.KILLED, Ends.LOST):
        return list(_killed(aftermath))
    return [
        *_run(aftermath, fault),
        *_load(aftermath, fault),
        *_servers(aftermath),
        *_database(aftermath),
        *_said(aftermath, fault),
    ]


def interrupted_findings(report: Mapping[str, Any], page: bool, load: bool) -> list[str]:
    """Return what is wrong with a killed run, once the next one has broken its lock."""
    found = []
    if report.get("state") != "interrupted":
        found.append(f"the killed run's report says {report.get('state')!r}, not 'interrupted'")
    if not page:
        found.append("the killed run has no report.html")
    if load:
        found.append("the killed run's load still runs")
    failures = (report.get("load") or {}).get("failures", 0)
    if failures:
        found.append(f"the killed run has {failures} failed requests, allowed are 0")
    return found


def _killed(aftermath: Aftermath) -> Iterator[str]:
    if aftermath.code >= 0:
        yield f"exit code {aftermath.code} of a run that was killed"


def _run(aftermath: Aftermath, fault: Fault) -> Iterator[str]:
    if (aftermath.code == 0) != (fault.ends is Ends.GREEN):
        yield f"exit code {aftermath.code} of a run that ends {fault.ends}"
    state = aftermath.report.get("state")
    if state != STATES[fault.ends]:
        yield f"the report says {state!r}, not {STATES[fault.ends]!r}"
    if not aftermath.has_page:
        yield "there is no report.html"


def _load(aftermath: Aftermath, fault: Fault) -> Iterator[str]:
    if aftermath.failures and not fault.breaks_service:
        yield f"{aftermath.failures} of {aftermath.requests} requests failed, allowed are 0"
    if aftermath.load_runs:
        yield "the load still runs"
    checks = [event for event in aftermath.events if event["kind"] == "writes"]
    loaded = any(event["kind"] == "load_started" for event in aftermath.events)
    if loaded and not checks:
        yield "the acknowledged writes were not checked"
    for check in checks:
        for what in LOST:
            if check[what]:
                yield f"acknowledged writes {what}: {', '.join(check[what][:3])}"


def _servers(aftermath: Aftermath) -> Iterator[str]:
    if not aftermath.servers:
        yield "HAProxy does not say which servers it has"
    for server in aftermath.servers:
        if not server.serving and not _is_explained(server.name, aftermath.words):
            yield (
                f"{server.name} is {server.operational}/{server.administrative}, and no line of "
                "the log names it together with what to do"
            )


def _is_explained(server: str, words: str) -> bool:
    return any(
        server in line and any(advice in line for advice in WHAT_TO_DO)
        for line in words.splitlines()
    )


def _database(aftermath: Aftermath) -> Iterator[str]:
    if aftermath.variable != 0:
        yield f"log_bin_trust_function_creators is {aftermath.variable}, it was 0"
    if aftermath.locks:
        yield f"{aftermath.locks} locks are not released"


def _said(aftermath: Aftermath, fault: Fault) -> Iterator[str]:
    said = " ".join(aftermath.words.split())
    for text in fault.says:
        if text not in said:
            yield f"the run did not say {text!r}"
    violated = aftermath.report.get("violated", [])
    for wanted in fault.violates:
        if not any(wanted.matches(verdict) for verdict in violated):
            found = "; ".join(f"{one['check']} {one['measured']}" for one in violated) or "nothing"
            yield f"not in the report: {wanted}. Violated was: {found}"
