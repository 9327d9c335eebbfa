"""The long way: what stops it, what it claims at its end, and how its page reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from keystone_rollout.hooks.files.cloud_file import load_cloud
from lab.campaigns.hop_clouds import RATE, write_clouds
from lab.campaigns.odyssey import MiddleOfHop
from lab.campaigns.odyssey_page import Odyssey, Stage
from lab.campaigns.peak_memory import Machine
from lab.data.known_users import Logins
from machine.errors import CommandError
from tests.unit.lab.campaigns import hop_example

SAMPLED = Logins(50, 50, {"lab": (48, 48), "load": (2, 2)}, [])
EVERYONE = Logins(2160, 2160, {"lab": (2000, 2000), "load": (120, 120), "long way": (40, 40)}, [])


def odyssey(*stages: Stage, **changes: Any) -> Odyssey:
    way = Odyssey("2026-03-01 09:58:00", "make odyssey", Machine(2, 8 * 1024**3), 2)
    return replace(way, stages=[*stages], **changes)


def stage(key: str = "12-13", **changes: Any) -> Stage:
    return Stage(replace(hop_example.record(key), **changes), 2160, SAMPLED)


def test_the_way_holds_only_if_all_of_it_does() -> None:
    both = (stage("12-13"), stage("13-14"))
    assert odyssey(*both, final=EVERYONE).ok
    assert not odyssey(*both).ok
    assert not odyssey(stage(), final=EVERYONE).ok
    assert not odyssey(*both, final=EVERYONE, reason="stopped").ok
    assert not odyssey(stage(), stage("13-14", failures=1), final=EVERYONE).ok
    assert not odyssey(stage(), stage("13-14", failures=None), final=EVERYONE).ok
    assert not odyssey(stage(), stage("13-14", state="red"), final=EVERYONE).ok
    assert not odyssey(*both, final=replace(EVERYONE, authenticated=2159)).ok
    assert not odyssey(*both, final=Logins(0, 0, {}, [])).ok


def test_the_page_counts_requests_and_users(tmp_path: Path) -> None:
    way = odyssey(stage(), stage("13-14"), final=EVERYONE, peak_bytes=3 * 1024**3, seconds=4000)
    way.write(tmp_path / "odyssey.json")
    page = (tmp_path / "odyssey.md").read_text()
    total = 2 * hop_example.record().requests
    assert (
        f"green: 2 of 2 hops, 0 of {total:,} requests failed, 2,160 of 2,160 users log in.\n"
        in page
    )
    assert "| Queens → Rocky | 2,160 | 50 of 50 |" in page
    assert "| load | 120 | 120 |" in page
    assert "| all | 2,160 | 2,160 |" in page
    assert (
        "| before Pike → Queens | – | migrate_version: keystone 109, keystone_contract 24 |" in page
    )
    assert "| `make odyssey` | 1 h 6 min | 2 cores, 8.0 GiB | 3.0 GiB above 0.0 GiB" in page
    data = json.loads((tmp_path / "odyssey.json").read_text())
    assert (data["ok"], data["requests"], data["failures"]) == (True, total, 0)
    assert data["stages"][0]["sample"]["authenticated"] == 50


def test_both_version_tables_are_told_where_both_are_there() -> None:
    schema = replace(
        hop_example.record().schema,
        tables_after={"migrate_version": ["keystone 109"], "alembic_version": []},
    )
    page = odyssey(stage(schema=schema)).markdown()
    assert "| migrate_version: keystone 109; alembic_version: no row |" in page
    assert "1 of 2 hops, not at its end: 0 of " in page


def test_a_way_that_stopped_says_why_and_who_cannot_log_in() -> None:
    page = odyssey(stage(state="red", reason="schema"), reason="Next: repair").markdown()
    assert "1 of 2 hops, **stopped**: " in page
    assert "## Why it stopped\n\n    Next: repair\n" in page
    lost = replace(EVERYONE, authenticated=2159, unable=["seed-user-0007: answered 401"])
    page = odyssey(stage(), stage("13-14"), final=lost).markdown()
    assert "**RED**: 2 of 2 hops" in page
    assert "Who cannot:\n\n    seed-user-0007: answered 401\n" in page


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
