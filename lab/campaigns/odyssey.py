"""One database through every release, and nobody loses the login: ``make odyssey``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keystoneauth1.exceptions import ClientException

from lab import paths
from lab import up as bring_up
from lab.airflow.upgrade_run import UpgradeRun
from lab.campaigns import onward, resume
from lab.campaigns.campaign import Campaign, Plan
from lab.campaigns.loop import measure_all
from lab.campaigns.pairs import ReleasePair, long_way
from lab.campaigns.rehearsals import publishable, run_hop, write_clouds
from lab.campaigns.row import Row
from lab.cli import only_one_at_a_time
from lab.cloud import secrets
from lab.data import known_users
from lab.data.known_users import KnownUser, Logins
from lab.hop import Hop
from lab.rehearsal import OnEvent
from machine.errors import CommandError
from machine.progress import Report

COMMAND, AGAIN = "make odyssey", "make odyssey GO_ON=1"
FIRST, LAST = 12, 30
SAMPLE = 50
MADE_AT_ONCE = 10
OPENING = """\
# One database, every release

One database with its data and keys goes through every release, under load in every hop, with the
real DAG. Between two hops the nodes are made anew at the next source release; the database and the
keys stay as the hop before left them. At the end every user that was ever made and not deleted has
to log in: those of the lab, those that the load created, and those that were made before and in the
middle of each hop. `make odyssey` measures and writes this page.
"""
AFTER_RED = (
    "No later hop can begin from here, so the way ends. The lab is left as it is. Next: read the "
    f"run's report in {paths.STATE.relative_to(paths.ROOT)}/runs and its log, repair the cause, "
    f"and go on from this database with {AGAIN}"
)
PAIRS = long_way(FIRST, LAST)
PLAN = Plan(paths.ROOT / "docs" / "odyssey.json", [pair.key for pair in PAIRS], OPENING, AFTER_RED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Go the whole way; 0 only if every hop is green and everyone can log in."""
    parser = argparse.ArgumentParser(prog="python -m lab odyssey", description=__doc__)
    parser.add_argument(
        "--go-on", action="store_true", help="from the hop at which the way stopped"
    )
    options = parser.parse_args(arguments)
    try:
        with only_one_at_a_time(), Report() as report:
            return travel(PAIRS, PLAN, report, go_on=options.go_on)
    except CommandError as error:
        print(f"error: {error}")
        return 1


def travel(pairs: Sequence[ReleasePair], plan: Plan, report: Report, *, go_on: bool = False) -> int:
    """Run one hop after another on one database; return the exit code.

    :param go_on: from the hop at which the campaign stopped, with the database as it is
    """
    clouds = write_clouds(paths.STATE / "odyssey", keep_users=True)
    campaign, users = Campaign(plan), list[KnownUser]()
    if go_on:
        campaign = resume.stopped_campaign(plan)
        users = resume.known_so_far(campaign, paths.STATE / "runs", secrets.load(), MADE_AT_ONCE)
    travellers = Travellers(report, campaign, users)
    jobs = [partial(travellers.hop, pair, clouds) for pair in pairs[len(campaign.rows) :]]
    measure_all(jobs, campaign, AGAIN if go_on else COMMAND, report, travellers.log_in)
    return 0 if campaign.complete else 1


class Travellers:
    """Everyone who has to be able to log in; each hop adds some.

    :param campaign: the rows so far
    :param users: those who are known from them
    """

    def __init__(self, report: Report, campaign: Campaign, users: list[KnownUser]) -> None:
        self.report = report
        self.campaign = campaign
        self.users = users

    def hop(self, pair: ReleasePair, clouds: Path, command: str) -> Row:
        """Run one hop, add who was made in it, and log in as some of all."""
        first = not self.campaign.rows
        prefix = resume.name_prefix(pair.key, self.campaign.set_aside)

        def bring(hop: Hop, report: Report) -> None:
            (bring_up.up if first else onward.go_on)(hop, report)
            # From here on the database does not hold the lab's data: a later command loads that
            # again.
            paths.PRESENT_SEED.unlink(missing_ok=True)
            if first:
                self.users += known_users.seed_users(secrets.load().seed_users)
            self.create(f"{prefix}-before")

        middle = MiddleOfHop(lambda: self.create(f"{prefix}-middle"))
        runs: list[UpgradeRun] = []

        def on_run(run: UpgradeRun) -> OnEvent:
            runs.append(run)
            return middle.see

        row = run_hop(pair, command, self.report, bring=bring, clouds=clouds, on_run=on_run)
        if row.state == "not run":
            return row.updated(users=len(self.users))
        problems = [*middle.problems(), *self._add_load_users(runs[0])]
        logins = known_users.log_in_all(known_users.sample(self.users, SAMPLE, pair.target.number))
        if not logins.ok:
            problems.append(
                f"users that log in: {logins.authenticated} of {logins.asked} (limit all): "
                + ", ".join(logins.unable[:5])
            )
        self.report.line(
            f"{len(self.users):,} users so far; {logins.authenticated} of a sample of "
            f"{logins.asked} log in"
        )
        row = row.updated(users=len(self.users), logins=logins)
        return row.red(*(publishable(each) for each in problems)) if problems else row

    def _add_load_users(self, run: UpgradeRun) -> list[str]:
        """Add the users that the load of a run has made; return the problem, if any."""
        try:
            if run.directory is None:
                raise CommandError("the run left no directory, so no ledger of its load")
            self.users += known_users.load_users(run.directory, secrets.load().keystone_admin)
        except CommandError as error:
            return [str(error)]
        return []

    def create(self, prefix: str) -> None:
        """Make some users through the API, and remember them."""
        kept = secrets.load()
        self.users += known_users.create_users(
            kept.keystone_admin, kept.seed_users, prefix, MADE_AT_ONCE
        )

    def log_in(self) -> Logins:
        """Log in as everyone."""
        with self.report.step(f"logging in as all {len(self.users):,} users"):
            return known_users.log_in_all(self.users)


class MiddleOfHop:
    """The moment at which the first node is upgraded, and both releases serve one database.

    :param act: the work for this moment; CommandError and ClientException are kept for `problems`
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
            # The run goes on: it must not depend on its watcher.
            self._problems.append(f"users made in the middle: {type(error).__name__}: {error}")

    def problems(self) -> list[str]:
        """Return the problems; a run that never came to the middle is one."""
        return [*self._problems] if self._done else ["users made in the middle: no node came up"]
