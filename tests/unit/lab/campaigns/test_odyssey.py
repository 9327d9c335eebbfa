"""The long way: what stops it, what it claims at its end, and how its page reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from keystone_rollout.hooks.files.cloud_file import load_cloud
from lab.campaigns import odyssey
from lab.campaigns.campaign import Campaign, Plan
from lab.campaigns.odyssey import (
    AFTER_RED,
    MADE_AT_ONCE,
    OPENING,
    SAMPLE,
    MiddleOfHop,
    Travellers,
    travel,
)
from lab.campaigns.pairs import ReleasePair
from lab.campaigns.rehearsals import RATE, write_clouds
from lab.campaigns.row import Row
from lab.cloud.secrets import generate
from lab.data import known_users, seed
from lab.data.known_users import KnownUser, Logins
from machine.errors import CommandError
from machine.progress import Report
from tests.stand_ins import campaign_example as example

EVERYONE = Logins(2160, 2160, {"lab": (2000, 2000), "load": (120, 120), "long way": (40, 40)}, [])
LOAD_USER = KnownUser("load-x-1", "load", ("secret",))
WAY = Plan(Path("odyssey.json"), ["12-13", "13-14"], OPENING, AFTER_RED)


def way(*rows: Row, everyone: Logins | None = None) -> Campaign:
    campaign = Campaign(WAY)
    changes = {"rows": [*rows], "everyone": everyone, "commands": [example.COMMAND]}
    campaign.content = campaign.content.model_copy(update=changes)
    return campaign


def row(key: str = "12-13", **changes: Any) -> Row:
    return example.record(key, users=2160, logins=example.SAMPLED).updated(**changes)


def test_the_way_holds_only_if_all_of_it_does() -> None:
    both = (row("12-13"), row("13-14"))
    assert way(*both, everyone=EVERYONE).complete
    assert not way(*both).complete
    assert not way(row(), everyone=EVERYONE).complete
    assert not way(row(), row("13-14", failures=1), everyone=EVERYONE).complete
    assert not way(row(), row("13-14", failures=None), everyone=EVERYONE).complete
    assert not way(row(), row("13-14", state="red"), everyone=EVERYONE).complete
    lossy = row("13-14", state="red", set_aside=True, failures=1)
    assert not way(*both, lossy, everyone=EVERYONE).complete
    assert way(*both, lossy.updated(failures=0), everyone=EVERYONE).complete
    assert not way(*both, everyone=replace(EVERYONE, authenticated=2159)).complete
    assert not way(*both, everyone=Logins(0, 0, {}, [])).complete


def test_the_page_counts_requests_and_users() -> None:
    page = way(row(), row("13-14"), everyone=EVERYONE).markdown()
    total = 2 * example.record().requests
    assert (
        f"2 of 2 hops are green, 0 of {total:,} requests failed, 2,160 of 2,160 users log in.\n"
        in page
    )
    assert "| 2,160 | 50 of 50 |" in page
    assert "| load | 120 | 120 |" in page
    assert "| all | 2,160 | 2,160 |" in page
    assert (
        "| Pike → Queens | migrate_version: keystone 109, keystone_contract 24 | "
        "migrate_version: keystone 109, keystone_contract 44 |" in page
    )


def test_both_version_tables_are_told_if_both_are_there() -> None:
    tables = {"migrate_version": ["keystone 109"], "alembic_version": []}
    page = way(row(tables_after=tables)).markdown()
    assert "| migrate_version: keystone 109; alembic_version: no row |" in page
    assert "1 of 2 hops are green, 0 of " in page


def test_a_way_that_stopped_says_why_and_who_cannot_log_in() -> None:
    page = way(row(state="red", reason="schema")).markdown()
    assert "0 of 2 hops are green" in page
    assert "    schema\n" in page
    assert AFTER_RED in page
    lost = replace(EVERYONE, authenticated=2159, unable=["seed-user-0007: answered 401"])
    page = way(row(), row("13-14"), everyone=lost).markdown()
    assert "2 of 2 hops are green" in page
    assert "**2,159 of 2,160 users log in**" in page
    assert "Who cannot:\n\n    seed-user-0007: answered 401\n" in page


def test_the_way_goes_through_all_hops_and_then_everyone_logs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def hop(travellers: Travellers, pair: ReleasePair, clouds: Path, command: str) -> Row:
        asked.append(f"{pair.key} after {len(travellers.campaign.rows)}")
        return row(pair.key, command=command)

    monkeypatch.setattr(odyssey.paths, "STATE", tmp_path)
    monkeypatch.setattr(Travellers, "hop", hop)
    monkeypatch.setattr(Travellers, "log_in", lambda travellers: EVERYONE)
    plan = replace(WAY, data=tmp_path / "odyssey.json")
    pairs = [example.pair(key) for key in plan.keys]
    with Report() as report:
        assert travel(pairs, plan, report) == 0
    assert asked == ["12-13 after 0", "13-14 after 1"]
    read = Campaign.read(plan)
    assert read.complete
    assert [command.typed for command in read.content.commands] == ["make odyssey"]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the lab be a list of what was done to it; everyone can log in."""
    done: list[str] = []
    made = generate()

    def create(admin: str, key: str, prefix: str, count: int) -> list[KnownUser]:
        done.append(f"made {prefix}")
        return known_users.created_users(key, prefix, count)

    def log_in(users: list[KnownUser]) -> Logins:
        return Logins(len(users), len(users), {}, [])

    monkeypatch.setattr(odyssey.bring_up, "up", lambda hop, report: done.append("up"))
    monkeypatch.setattr(odyssey.onward, "go_on", lambda hop, report: done.append("onward"))
    monkeypatch.setattr(odyssey.secrets, "load", lambda: made)
    monkeypatch.setattr(odyssey.paths, "PRESENT_SEED", tmp_path / "present")
    monkeypatch.setattr(known_users, "create_users", create)
    monkeypatch.setattr(known_users, "load_users", lambda run, admin: [LOAD_USER])
    monkeypatch.setattr(known_users, "log_in_all", log_in)
    return done


def play(monkeypatch: pytest.MonkeyPatch, *states: str, directory: Path | None = Path()) -> None:
    """Let a run of the DAG be the states of one node, and its row green."""

    def run_hop(
        pair: ReleasePair, command: str, report: Report, *, bring: Any, clouds: Path, on_run: Any
    ) -> Row:
        bring(None, report)
        see = on_run(SimpleNamespace(directory=directory))
        for state in states:
            see({"kind": "node", "state": state})
        return example.record(pair.key)

    monkeypatch.setattr(odyssey, "run_hop", run_hop)


def test_in_every_hop_users_are_made_before_and_in_the_middle(
    lab: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, "maint", "up", "up")
    campaign = way()
    travellers = Travellers(Report(), campaign, [])
    found = travellers.hop(example.pair(), Path(), example.RUN)
    assert lab == ["up", "made odyssey-12-13-before", "made odyssey-12-13-middle"]
    assert (found.state, found.users) == ("green", seed.USERS + 2 * MADE_AT_ONCE + 1)
    assert found.logins is not None
    assert found.logins.asked == SAMPLE
    campaign.content = campaign.content.model_copy(update={"rows": [found]})
    lab.clear()
    second = travellers.hop(example.pair("13-14"), Path(), example.RUN)
    assert lab == ["onward", "made odyssey-13-14-before", "made odyssey-13-14-middle"]
    assert second.users == seed.USERS + 4 * MADE_AT_ONCE + 2


def test_a_hop_whose_users_are_not_all_known_is_red(
    lab: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, "maint", directory=None)
    monkeypatch.setattr(
        known_users,
        "log_in_all",
        lambda users: Logins(50, 49, {}, ["seed-user-0007: answered 401"]),
    )
    found = Travellers(Report(), way(), []).hop(example.pair(), Path(), example.RUN)
    assert found.state == "red"
    assert found.reason == (
        "users made in the middle: no node came up; the run left no directory, so no ledger of "
        "its load; users that log in: 49 of 50 (limit all): seed-user-0007: answered 401"
    )


def test_a_hop_that_was_not_run_asks_nobody(
    lab: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = example.unobtainable("12-13")
    monkeypatch.setattr(odyssey, "run_hop", lambda *_, **__: row)
    found = Travellers(Report(), way(), []).hop(example.pair(), Path(), example.RUN)
    assert found == row.updated(users=0)


def test_the_middle_is_when_the_first_node_is_up_and_comes_once() -> None:
    seen: list[str] = []
    middle = MiddleOfHop(lambda: seen.append("made"))
    middle.see({"kind": "step", "state": "started"})
    middle.see({"kind": "node", "state": "maint"})
    assert seen == []
    assert middle.problems() == ["users made in the middle: no node came up"]
    for _node in range(3):
        middle.see({"kind": "node", "state": "up"})
    assert seen == ["made"]
    assert middle.problems() == []


def test_users_that_cannot_be_made_stop_no_run_and_are_told_of() -> None:
    def refuse() -> None:
        raise CommandError("no token")

    middle = MiddleOfHop(refuse)
    middle.see({"kind": "node", "state": "up"})
    assert middle.problems() == ["users made in the middle: CommandError: no token"]


def test_the_cloud_file_of_the_long_way_differs_in_what_the_load_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = load_cloud("lab")
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(write_clouds(tmp_path / "clouds", keep_users=True)))
    cloud = load_cloud("lab")
    assert (original.load.clean_up, cloud.load.clean_up) == (True, False)
    assert cloud.load.profile.rate == RATE < original.load.profile.rate
    assert cloud.model_copy(update={"load": original.load}) == original
    text = (tmp_path / "clouds" / "lab.yaml").read_text()
    assert yaml.safe_load(text)["load"]["clean_up"] is False
    write_clouds(tmp_path / "clouds")
    assert load_cloud("lab").load.clean_up
