"""The long way: what stops it, what it claims at its end, and how its page reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from keystone_rollout.hooks.files.cloud_file import load_cloud
from lab.campaigns import odyssey
from lab.campaigns.campaign import Campaign, Plan
from lab.campaigns.odyssey import AFTER_RED, OPENING, MiddleOfHop, Travellers, travel
from lab.campaigns.pairs import ReleasePair
from lab.campaigns.rehearsals import RATE, write_clouds
from lab.campaigns.row import Row
from lab.data.known_users import Logins
from machine.errors import CommandError
from machine.progress import Report
from tests.unit.lab.campaigns import example

EVERYONE = Logins(2160, 2160, {"lab": (2000, 2000), "load": (120, 120), "long way": (40, 40)}, [])
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
