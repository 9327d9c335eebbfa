"""The main job: upgrade the lab under load with the real DAG, and check the result afterwards."""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import up as bring_up
from lab.airflow.upgrade_run import UpgradeRun
from lab.cloud import database, nodes
from lab.hop import Hop, add_arguments, plan_hop
from machine import engine
from machine.errors import CommandError
from machine.progress import Report

MINIMUM_REQUESTS = 5000
TIME_LIMIT_SECONDS = 1800.0
OnEvent = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Check:
    """One question about the outcome, asked of the lab itself and not of the DAG."""

    what: str
    measured: str
    limit: str
    ok: bool

    def __str__(self) -> str:
        return (
            f"{'ok    ' if self.ok else 'FAILED'} {self.what}: {self.measured} (limit {self.limit})"
        )


@dataclass(frozen=True)
class Outcome:
    """The result of one upgrade: the lab's answers, and how many seconds the DAG took."""

    checks: list[Check]
    seconds: float

    @property
    def failed(self) -> list[Check]:
        """Return the checks that did not hold."""
        return [check for check in self.checks if not check.ok]


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring the lab up, upgrade it, print the measurements; 0 only if all are within limits."""
    parser = argparse.ArgumentParser(prog="python -m lab rehearsal", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        with Report() as report:
            hop = plan_hop(options.release, options.target, options.own_cache)
            return rehearse(hop, report)
    except CommandError as error:
        print(f"error: {error}")
        return 1


def rehearse(hop: Hop, report: Report) -> int:
    """Run one rehearsal and return the exit code."""
    bring_up.up(hop, report)
    outcome = upgrade(new_run(hop), hop, report)
    return 1 if outcome.failed else 0


def new_run(hop: Hop, clouds: Path | None = None) -> UpgradeRun:
    """Return a run of the upgrade DAG against the lab, not yet started.

    :param clouds: folder with another cloud file of the lab than the project's own
    """
    params = {
        "cloud": "lab",
        "source": hop.source.version,
        "target": hop.target.version,
        "auto_approve": True,
    }
    return UpgradeRun(params, clouds)


def upgrade(run: UpgradeRun, hop: Hop, report: Report, on_event: OnEvent | None = None) -> Outcome:
    """Run the DAG, ask the lab for the result, print and return it.

    :param on_event: called with each event that the run records, while it goes on
    """
    client = engine.connect()
    original = database.trust_function_creators()
    isolation = database.transaction_isolation()
    began = time.monotonic()
    code = follow(run, report, on_event)
    seconds = time.monotonic() - began
    states = nodes.read_states(client)
    checks = judge(run.report(), code, hop.target.version, original, states)
    checks.append(judge_isolation(isolation))
    show(run, checks, seconds, report)
    return Outcome(checks, seconds)


def follow(run: UpgradeRun, report: Report, on_event: OnEvent | None = None) -> int:
    """Run the DAG to its end; print each step of it as it goes by."""
    report.line(f"upgrade DAG starts (airflow dags test), its log: {run.log}")
    with report.step("upgrade DAG") as step:
        run.start()
        began: dict[str, float] = {}
        end = time.monotonic() + TIME_LIMIT_SECONDS
        while True:
            ended = run.ended()
            for event in run.new_events():
                _tell(event, began, report)
                if on_event is not None:
                    on_event(event)
            step.note(", ".join(began) or "between two steps")
            if ended:
                return run.wait(0)
            if time.monotonic() > end:
                raise CommandError(
                    f"the upgrade DAG has run for {TIME_LIMIT_SECONDS:g} s, allowed limit; "
                    f"it is still running. Next: read {run.log}"
                )
            time.sleep(0.5)


def _tell(event: dict[str, Any], began: dict[str, float], report: Report) -> None:
    if event["kind"] == "step":
        name = event["step"]
        if event["state"] == "started":
            began[name] = event["t"]
            return
        seconds = event["t"] - began.pop(name, event["t"])
        report.line(f"  {name}: {event['state']} in {seconds:.1f} s")
    elif event["kind"] == "node" and event["state"] in ("maint", "going back", "up"):
        report.line(f"  {event['node']}: {event['state']} ({event['text']})")


def judge(
    record: dict[str, Any],
    code: int,
    target: str,
    original: int,
    states: Sequence[nodes.NodeState],
) -> list[Check]:
    """Compare the lab's present state with the state that an upgrade has to leave."""
    load = record.get("load") or {}
    heads = (record.get("plan") or {}).get("heads") or {}
    requests, failures = load.get("requests", 0), load.get("failures")
    versions = database.schema_versions()
    value = database.trust_function_creators()
    checks = [
        Check("upgrade DAG", f"exit code {code}", "0", code == 0),
        Check("failed requests", str(failures), "0", failures == 0),
        Check(
            "requests", str(requests), f"at least {MINIMUM_REQUESTS}", requests >= MINIMUM_REQUESTS
        ),
        judge_schema(versions, heads),
        Check(
            "log_bin_trust_function_creators", str(value), str(original), value == original
        ),
    ]  # fmt: skip
    for state in states:
        checks.append(
            Check(
                state.node.name,
                f"installed {state.installed or '-'}, runs {state.running or '-'}",
                f"{target}, serving",
                state.installed == state.running == target,
            )
        )
    return checks


def judge_isolation(original: str) -> Check:
    """Ask whether the server's transaction isolation is the same as before the upgrade."""
    value = database.transaction_isolation()
    return Check("tx_isolation", value, original, value == original)


def judge_schema(versions: Mapping[str, str], heads: Mapping[str, Any]) -> Check:
    """Compare the version table's rows with the heads that the image carries.

    With alembic there is no head of `migrate`, and the table may hold exactly the heads of the two
    branches: any other row is a mistake.
    """
    if heads.get("migrate") == "":
        measured = sorted(versions.values())
        wanted = sorted(str(head) for head in heads.values() if head)
    else:
        names = {"expand": "expand", "data_migrate": "migrate", "contract": "contract"}
        measured = [versions.get(f"keystone_{name}", "none") for name in names]
        wanted = [str(heads.get(phase, "?")) for phase in names.values()]
    return Check("schema", "/".join(measured) or "none", "/".join(wanted), measured == wanted)


def show(run: UpgradeRun, checks: Sequence[Check], seconds: float, report: Report) -> None:
    """Print the outcome; if it is red, the reason and the next step come last."""
    record = run.report()
    load = record.get("load") or {}
    for check in checks:
        report.line(str(check))
    if load.get("p99") and load.get("baseline_p99"):
        ratio = load["p99"] / load["baseline_p99"]
        report.line(
            f"p99 {load['p99']:g} ms, {ratio:.2f} × baseline; longest gap between two successes "
            f"{load['longest_gap']:.2f} s; upgrade DAG {seconds:.0f} s"
        )
    if run.directory and (run.directory / "report.html").exists():
        report.line(f"report: {run.directory / 'report.html'}")
    if all(check.ok for check in checks):
        report.line(f"rehearsal passed: 0 failed of {load['requests']} requests")
        return
    for step in record.get("steps", []):
        if step["state"] == "failed":
            report.line(f"step {step['name']} failed: {step['reason']}")
    for verdict in record.get("violated", [])[:5]:
        report.line(
            f"violated at {verdict['gate']}: {verdict['check']} ({verdict['object']}): measured "
            f"{verdict['measured']}, limit {verdict['limit']}. Next: {verdict['next_step']}"
        )
    report.line(f"rehearsal FAILED. Next: read {run.log}, then make lab-reset and try again")
