"""A way that stopped goes on with everyone it knew, on the same database, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keystone_rollout.domain.load.profile import LoadProfile
from lab.campaigns.campaign import Campaign, Plan
from lab.campaigns.odyssey import AFTER_RED, OPENING
from lab.campaigns.resume import known_so_far, name_prefix, stopped_campaign
from lab.campaigns.row import Row, failed_and_total
from lab.cloud import database
from lab.cloud.secrets import generate
from lab.data import seed
from machine.errors import CommandError
from tests.stand_ins import campaign_example as example
from tests.stand_ins.campaign_example import COMMAND

AT_ONCE = 10
GREEN, RED = "12-13", "13-14"
MADE_BY_LOAD = 3


def write_stopped(
    file: Path, red_users: int = 2 * (MADE_BY_LOAD + 2 * AT_ONCE), state: str = "red"
) -> Plan:
    """Write a way whose second hop was red; everyone in both of its hops is known."""
    made = MADE_BY_LOAD + 2 * AT_ONCE
    plan = Plan(file, [GREEN, RED], OPENING, AFTER_RED)
    campaign = Campaign(plan)
    for row in (
        example.record(GREEN, users=seed.USERS + made),
        example.record(
            RED, users=seed.USERS + red_users, state=state, reason="no start", began="2026-03-02"
        ),
    ):
        campaign.keep(row.updated(run_id=f"run {row.key}", logins=example.SAMPLED), COMMAND)
    return plan


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Write a way that stopped; the database stands where it says."""
    monkeypatch.setattr(database, "read_version_tables", lambda: example.QUEENS)
    return write_stopped(tmp_path / "odyssey.json")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Write what the load of both hops has left: two residents, and one user of each."""
    for key in (GREEN, RED):
        session = tmp_path / "runs" / f"run_{key}" / "load" / "1"
        session.mkdir(parents=True)
        prefix = f"load-{key}-x"
        profile = LoadProfile(name_prefix=prefix, residents=2)
        (session / "profile.json").write_text(profile.model_dump_json())
        event = {"t": 1, "event": "created", "id": "a", "name": f"{prefix}-p1-1", "generation": 0}
        (session / "ledger.jsonl").write_text(json.dumps(event) + "\n")
    return tmp_path / "runs"


def test_the_red_hop_is_set_aside_and_counted_all_the_same(plan: Plan) -> None:
    campaign = stopped_campaign(plan)
    assert [row.key for row in campaign.rows] == [GREEN]
    assert [row.key for row in campaign.set_aside] == [RED]
    assert failed_and_total(campaign.content.rows) == (0, 2 * example.record().requests)
    page = campaign.markdown()
    assert "## Red at first\n" in page
    assert "no start" in page
    assert AFTER_RED not in page
    # What is measured next is a row beside it, also in the files.
    campaign.keep(example.record(RED), COMMAND)
    read = Campaign.read(plan)
    assert [row.state for row in read.rows] == ["green", "green"]
    assert [row.reason for row in read.set_aside] == ["no start"]


def test_everyone_is_known_again(plan: Plan, runs: Path) -> None:
    users = known_so_far(stopped_campaign(plan), runs, generate(), AT_ONCE)
    names = [user.name for user in users]
    assert len(names) == len(set(names)) == seed.USERS + 2 * (MADE_BY_LOAD + 2 * AT_ONCE)
    assert {"odyssey-12-13-before-01", "odyssey-13-14-middle-10", "load-13-14-x-p1-1"} <= {*names}


def test_in_a_hop_that_was_red_early_nobody_was_made_in_the_middle(plan: Plan, runs: Path) -> None:
    write_stopped(plan.data, red_users=2 * (MADE_BY_LOAD + AT_ONCE) + AT_ONCE)
    users = known_so_far(stopped_campaign(plan), runs, generate(), AT_ONCE)
    names = {user.name for user in users}
    assert "odyssey-13-14-before-10" in names
    assert "odyssey-13-14-middle-01" not in names


def test_somebody_forgotten_is_no_way_to_go_on(plan: Plan, runs: Path) -> None:
    write_stopped(plan.data, red_users=99)
    with pytest.raises(CommandError, match=r"Queens → Rocky 2099 users were known, 2046 are found"):
        known_so_far(stopped_campaign(plan), runs, generate(), AT_ONCE)


def test_another_attempt_makes_users_of_other_names(plan: Plan) -> None:
    set_aside: list[Row] = stopped_campaign(plan).set_aside
    assert name_prefix(GREEN, set_aside) == "odyssey-12-13"
    assert name_prefix(RED, []) == "odyssey-13-14"
    assert name_prefix(RED, set_aside) == "odyssey-13-14-attempt2"


def test_another_database_is_refused(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "read_version_tables", lambda: example.PIKE)
    with pytest.raises(CommandError, match="it is another one, or somebody has worked on it"):
        stopped_campaign(plan)


@pytest.mark.parametrize("content", ["", "[]", '{"stages": []}'])
def test_a_file_without_a_way_is_refused(plan: Plan, content: str) -> None:
    plan.data.write_text(content)
    with pytest.raises(CommandError, match=r"(?s)cannot be read .* nothing is run"):
        stopped_campaign(plan)


@pytest.mark.parametrize("content", [None, "{}"])
def test_a_way_that_never_began_is_refused(plan: Plan, content: str | None) -> None:
    plan.data.write_text(content) if content else plan.data.unlink()
    with pytest.raises(CommandError, match=r"has not stopped. Next: start over with make odyssey"):
        stopped_campaign(plan)


def test_a_way_that_has_not_stopped_is_refused(plan: Plan) -> None:
    write_stopped(plan.data, state="green")
    with pytest.raises(CommandError, match="has not stopped"):
        stopped_campaign(plan)


def test_a_way_without_a_green_hop_is_refused(plan: Plan) -> None:
    campaign = Campaign(plan)
    campaign.keep(example.record(GREEN, state="red"), COMMAND)
    with pytest.raises(CommandError, match="no hop of the way was green"):
        stopped_campaign(plan)
