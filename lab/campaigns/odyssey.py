"""One database through every release, and nobody loses the login: ``make odyssey``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from keystoneauth1.exceptions import ClientException

from lab import paths
from lab import up as bring_up
from lab.airflow.upgrade_run import UpgradeRun
from lab.campaigns import onward
from lab.campaigns.hop_clouds import write_clouds
from lab.campaigns.hop_list import ReleasePair, long_way
from lab.campaigns.hop_record import HopRecord
from lab.campaigns.hop_run import run_hop, utc_now
from lab.campaigns.markdown import duration, gibibytes, number
from lab.campaigns.odyssey_page import Odyssey, Stage
from lab.campaigns.odyssey_resume import known_so_far, name_prefix, stopped_way
from lab.campaigns.peak_memory import PeakMemory, this_machine
from lab.campaigns.publishable import publishable
from lab.cli import only_one_at_a_time
from lab.cloud import secrets
from lab.data import known_users, version_tables
from lab.data.known_users import KnownUser
from lab.hop import Hop
from lab.rehearsal import OnEvent
from machine.errors import CommandError
from machine.progress import Report

FILE = paths.ROOT / "docs" / "odyssey.json"
COMMAND, AGAIN = "make odyssey", "make odyssey GO_ON=1"
FIRST, LAST = 12, 30
SAMPLE = 50
MADE_AT_ONCE = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Go the whole way; 0 only if every hop is green and everyone can log in."""
    parser = argparse.ArgumentParser(prog="python -m lab odyssey", description=__doc__)
    parser.add_argument(
        "--go-on", action="store_true", help="from the hop at which the way stopped"
    )
    options = parser.parse_args(arguments)
    try:
        with only_one_at_a_time(), Report() as report:
            return travel(long_way(FIRST, LAST), report, go_on=options.go_on)
    except CommandError as error:
        print(f"error: {error}")
        return 1


def travel(
    pairs: Sequence[ReleasePair], report: Report, file: Path = FILE, *, go_on: bool = False
) -> int:
    """Run one hop after another on one database, writing after each; return the exit code.

    :param go_on: from the hop at which the way in *file* stopped, with the database as it is
    """
    began, clouds = time.monotonic(), write_clouds(paths.STATE / "odyssey", keep_users=True)
    travellers = Travellers(report)
    with PeakMemory() as memory:
        if go_on:
            way = stopped_way(file)
            travellers.users = known_so_far(way, paths.STATE / "runs", secrets.load(), MADE_AT_ONCE)
            way = replace(way, command=f"{way.command}, then {AGAIN}")
        else:
            way = Odyssey(
                utc_now(), COMMAND, this_machine(), len(pairs), start_bytes=memory.start_bytes
            )
        before = way

        def measured(way: Odyssey) -> Odyssey:
            return replace(
                way,
                seconds=before.seconds + time.monotonic() - began,
                peak_bytes=max(before.peak_bytes, memory.peak_bytes),
            )

        for pair in pairs[len(way.stages) :]:
            way = measured(_one_more(way, travellers.hop(pair, way, clouds)))
            way.write(file)
            if way.reason:
                break
        else:
            way = replace(
                way, final=travellers.log_in(), tables=version_tables.read_version_tables()
            )
        way = measured(way)
        way.write(file)
    report.line(way.verdict())
    if way.reason:
        report.line(way.reason)
    report.line(
        f"{duration(way.seconds)}, peak of used memory {gibibytes(way.peak_bytes)} above the "
        f"start; written: {file.with_suffix('.md')} and {file}"
    )
    return 0 if way.ok else 1


def _one_more(way: Odyssey, stage: Stage) -> Odyssey:
    """Return the way with one more hop; where that is red, with why it ends here."""
    reason = ""
    if stage.record.state != "green":
        reason = (
            f"{stage.record.title} is {stage.record.state}: {stage.record.reason}. No later hop "
            "can begin from here, so the way ends. The lab is left as it is. Next: read the run's "
            f"report in {paths.STATE.relative_to(paths.ROOT)}/runs and its log, repair the cause, "
            f"and go on from this database with {AGAIN}"
        )
    return replace(way, stages=[*way.stages, stage], reason=reason)


class Travellers:
    """Keep everyone who has to be able to log in, and add to them in every hop."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.users: list[KnownUser] = []

    def hop(self, pair: ReleasePair, way: Odyssey, clouds: Path) -> Stage:
        """Run one hop, add who was made in it, and log in as some of all."""
        first = not way.stages

        def bring(hop: Hop, report: Report) -> None:
            (bring_up.up if first else onward.go_on)(hop, report)
            # From here on the database is nobody's seed: whoever wants that restores it.
            paths.PRESENT_SEED.unlink(missing_ok=True)
            if first:
                self.users += known_users.seed_users(secrets.load().seed_users)
            self.create(f"{prefix}-before")

        prefix = name_prefix(pair.key, way.attempts(pair.key) + 1)
        middle = MiddleOfHop(lambda: self.create(f"{prefix}-middle"))
        runs: list[UpgradeRun] = []

        def on_run(run: UpgradeRun) -> OnEvent:
            runs.append(run)
            return middle.see

        record = run_hop(pair, way.began, self.report, bring=bring, clouds=clouds, on_run=on_run)
        if record.state == "not run":
            return Stage(record, len(self.users))
        problems = middle.problems()
        try:
            directory = runs[0].directory
            if directory is None:
                raise CommandError("the run left no directory, so no ledger of its load")
            password = secrets.load().keystone_admin
            self.users += known_users.load_users(directory, password)
        except CommandError as error:
            problems.append(str(error))
        logins = known_users.log_in_all(known_users.sample(self.users, SAMPLE, pair.target.number))
        if not logins.ok:
            problems.append(
                f"users that log in: {logins.authenticated} of {logins.asked} (limit all): "
                + ", ".join(logins.unable[:5])
            )
        self.report.line(
            f"{number(len(self.users))} users so far; {logins.authenticated} of a sample of "
            f"{logins.asked} log in"
        )
        return Stage(_with_problems(record, problems), len(self.users), logins)

    def create(self, prefix: str) -> None:
        """Make some users through the API, and remember them."""
        kept = secrets.load()
        self.users += known_users.create_users(
            kept.keystone_admin, kept.seed_users, prefix, MADE_AT_ONCE
        )

    def log_in(self) -> known_users.Logins:
        """Log in as everyone."""
        with self.report.step(f"logging in as all {number(len(self.users))} users"):
            return known_users.log_in_all(self.users)


def _with_problems(record: HopRecord, problems: Sequence[str]) -> HopRecord:
    if not problems:
        return record
    reasons = [record.reason] if record.reason else []
    reason = publishable("; ".join([*reasons, *problems]))
    return replace(record, state="red", reason=reason)


class MiddleOfHop:
    """Do something once the first node is upgraded, when both releases serve one database.

    :param act: what is done; CommandError and ClientException are kept for `problems`
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._done = False
        self._problems: list[str] = []

    def see(self, event: dict[str, Any]) -> None:
        """Take an event of the run."""
        if self._done or event["kind"] != "node" or event["state"] != "up":
            return
        self._done = True
        try:
            self._act()
        except (CommandError, ClientException) as error:
            # The run goes on: what it does must not depend on who watches it.
            self._problems.append(f"users made in the middle: {type(error).__name__}: {error}")

    def problems(self) -> list[str]:
        """Return what went wrong; that it never came to the middle is one thing."""
        return [*self._problems] if self._done else ["users made in the middle: no node came up"]
