"""A way that stopped goes on with everyone it knew, on the same database, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from keystone_rollout.domain.load.profile import LoadProfile
from lab.campaigns.odyssey_page import Odyssey, Stage
from lab.campaigns.odyssey_resume import known_so_far, name_prefix, stopped_way
from lab.campaigns.peak_memory import Machine
from lab.cloud.secrets import generate
from lab.data import seed, version_tables
from lab.data.known_users import Logins
from machine.errors import CommandError
from tests.unit.lab.campaigns import hop_example

AT_ONCE = 10
GREEN, RED = "12-13", "13-14"
MADE_BY_LOAD = 3


def stage(key: str, users: int, **changes: object) -> Stage:
    record = replace(hop_example.record(key), run_id=f"run {key}", **changes)  # type: ignore[arg-type]
    return Stage(record, users, Logins(50, 50, {"lab": (50, 50)}, []))


def stopped(red_users: int = 2 * (MADE_BY_LOAD + 2 * AT_ONCE)) -> Odyssey:
    """Return a way whose second hop was red; everyone in both of its hops is known."""
    made = MADE_BY_LOAD + 2 * AT_ONCE
    return Odyssey(
        "2026-03-01 09:58:00",
        "make odyssey",
        Machine(2, 8 * 1024**3),
        2,
        stages=[
            stage(GREEN, seed.USERS + made),
            stage(RED, seed.USERS + red_users, state="red", reason="no start", began="2026-03-02"),
        ],
        reason="stopped",
    )


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a way that stopped; the database stands where it says."""
    path = tmp_path / "odyssey.json"
    stopped().write(path)
    monkeypatch.setattr(version_tables, "read_version_tables", lambda: hop_example.QUEENS)
    return path


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


def test_the_red_hop_is_set_aside_and_counted_all_the_same(file: Path) -> None:
    way = stopped_way(file)
    assert [each.record.key for each in way.stages] == [GREEN]
    assert [each.record.key for each in way.set_aside] == [RED]
    assert way.reason == ""
    assert way.requests == 2 * hop_example.record().requests
    assert "## Red at first\n" in way.markdown()
    assert "no start" in way.markdown()
    assert Odyssey.from_dict(json.loads(json.dumps(way.to_dict()))) == way


def test_everyone_is_known_again(file: Path, runs: Path) -> None:
    users = known_so_far(stopped_way(file), runs, generate(), AT_ONCE)
    names = [user.name for user in users]
    assert len(names) == len(set(names)) == seed.USERS + 2 * (MADE_BY_LOAD + 2 * AT_ONCE)
    assert {"odyssey-12-13-before-01", "odyssey-13-14-middle-10", "load-13-14-x-p1-1"} <= {*names}


def test_in_a_hop_that_was_red_early_nobody_was_made_in_the_middle(file: Path, runs: Path) -> None:
    stopped(red_users=2 * (MADE_BY_LOAD + AT_ONCE) + AT_ONCE).write(file)
    names = {user.name for user in known_so_far(stopped_way(file), runs, generate(), AT_ONCE)}
    assert "odyssey-13-14-before-10" in names
    assert "odyssey-13-14-middle-01" not in names


def test_somebody_forgotten_is_no_way_to_go_on(file: Path, runs: Path) -> None:
    stopped(red_users=99).write(file)
    with pytest.raises(CommandError, match=r"Queens → Rocky 2099 users were known, 2046 are found"):
        known_so_far(stopped_way(file), runs, generate(), AT_ONCE)


def test_another_attempt_makes_users_of_other_names(file: Path) -> None:
    way = stopped_way(file)
    assert (way.attempts(GREEN), way.attempts(RED)) == (0, 1)
    assert name_prefix(GREEN, 1) == "odyssey-12-13"
    assert name_prefix(RED, 2) == "odyssey-13-14-attempt2"


def test_another_database_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_tables, "read_version_tables", lambda: hop_example.PIKE)
    with pytest.raises(CommandError, match="it is another one, or somebody has worked on it"):
        stopped_way(file)


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_a_file_without_a_way_is_refused(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(CommandError, match=r"holds no way to go on with .* Next: start over with"):
        stopped_way(file)


def test_a_way_that_has_not_stopped_is_refused(file: Path) -> None:
    replace(stopped(), reason="").write(file)
    with pytest.raises(CommandError, match="has not stopped"):
        stopped_way(file)
