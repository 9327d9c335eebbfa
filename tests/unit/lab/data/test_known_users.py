"""Who has to be able to log in, from the files that a load leaves, and whether they can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystone_rollout.domain.load.credentials import derive_password
from keystone_rollout.domain.load.profile import LoadProfile
from lab.data import known_users, seed
from lab.data.known_users import KnownUser, load_users, log_in_all, sample, seed_users
from machine.errors import CommandError
from tests.stand_ins.in_memory_keystone import ADMIN_PASSWORD, InMemoryKeystone, serve

KEY = "0123456789abcdef"
PREFIX = "load-1a2b3c4d"


@pytest.fixture
def keystone() -> Iterator[InMemoryKeystone]:
    with serve() as server:
        yield server


def write_session(run: Path, number: int, events: list[tuple[str, str, int]]) -> None:
    """Write what a load session leaves: its profile, and a ledger of (event, name, generation)."""
    session = run / "load" / str(number)
    session.mkdir(parents=True)
    profile = LoadProfile(name_prefix=PREFIX, residents=2)
    (session / "profile.json").write_text(profile.model_dump_json())
    lines = [
        json.dumps({"t": 1, "event": event, "id": name, "name": name, "generation": generation})
        for event, name, generation in events
    ]
    (session / "ledger.jsonl").write_text("".join(f"{line}\n" for line in lines))


def test_the_load_leaves_those_it_made_and_did_not_delete(tmp_path: Path) -> None:
    kept, changed, half_changed, deleted, perhaps = (f"{PREFIX}-abc123-{n}" for n in range(1, 6))
    events = [("created", name, 0) for name in (kept, changed, half_changed, deleted, perhaps)]
    events += [
        ("password_change_sent", changed, 1),
        ("password_changed", changed, 1),
        ("password_change_sent", half_changed, 1),
        ("delete_sent", deleted, 0),
        ("deleted", deleted, 0),
        ("delete_sent", perhaps, 0),
    ]
    write_session(tmp_path, 1, events)
    users = {user.name: user.passwords for user in load_users(tmp_path, KEY)}
    residents = [f"{PREFIX}-abc123-resident-{number}" for number in (1, 2)]
    assert list(users) == [kept, changed, half_changed, *residents]
    assert users[changed] == (derive_password(KEY, changed, 1),)
    assert users[half_changed] == tuple(derive_password(KEY, half_changed, n) for n in (0, 1))
    assert users[residents[0]] == (derive_password(KEY, residents[0], 0),)


def test_every_session_of_a_run_counts(tmp_path: Path) -> None:
    write_session(tmp_path, 1, [("created", f"{PREFIX}-abc123-1", 0)])
    write_session(tmp_path, 2, [("created", f"{PREFIX}-def456-1", 0)])
    assert len(load_users(tmp_path, KEY)) == 6


def test_a_load_that_cannot_be_read_is_no_load_without_users(tmp_path: Path) -> None:
    write_session(tmp_path, 1, [("deleted", "nobody", 0)])
    with pytest.raises(
        CommandError, match=r"load session .*/load/1 cannot be read \(LedgerError: "
    ):
        load_users(tmp_path, KEY)
    (tmp_path / "load" / "1" / "ledger.jsonl").unlink()
    with pytest.raises(CommandError, match="nobody can say that all of them still log in"):
        load_users(tmp_path, KEY)


def test_everyone_is_logged_in_as_and_counted_by_who_made_them(keystone: InMemoryKeystone) -> None:
    users = seed_users(KEY)[:20]
    for user in users:
        keystone.state.users[user.name] = {"name": user.name, "password": user.passwords[0]}
    changed = KnownUser("half", "load", ("before", "after"))
    keystone.state.users["half"] = {"name": "half", "password": "after"}
    logins = log_in_all([*users, changed], keystone.auth_url)
    assert logins.ok
    assert (logins.asked, logins.authenticated) == (21, 21)
    assert logins.by_origin == {"lab": (20, 20), "load": (1, 1)}


def test_who_cannot_log_in_is_named_without_a_password(keystone: InMemoryKeystone) -> None:
    lost, wrong = seed_users(KEY)[:2]
    keystone.state.users["x"] = {"name": wrong.name, "password": "another"}
    logins = log_in_all([lost, wrong], keystone.auth_url)
    assert not logins.ok
    assert logins.by_origin == {"lab": (0, 2)}
    assert logins.unable == [f"{lost.name}: answered 401", f"{wrong.name}: answered 401"]
    assert wrong.passwords[0] not in repr(wrong)


def test_no_answer_is_no_login_and_nobody_is_not_everybody() -> None:
    logins = log_in_all(seed_users(KEY)[:1], "http://127.0.0.1:9/v3")
    assert logins.unable == ["seed-user-0000: no answer (ConnectionError)"]
    assert not log_in_all([], "http://127.0.0.1:9/v3").ok


def test_users_are_made_through_the_api_and_can_log_in(
    keystone: InMemoryKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed, "PUBLIC_URL", keystone.auth_url)
    users = known_users.create_users(ADMIN_PASSWORD, KEY, "odyssey-12-13-before", 3)
    assert [user.name for user in users] == [f"odyssey-12-13-before-0{n}" for n in (1, 2, 3)]
    assert log_in_all(users, keystone.auth_url).by_origin == {"long way": (3, 3)}


def test_a_sample_is_drawn_anew_for_every_hop_and_can_be_drawn_again() -> None:
    users = seed_users(KEY)
    first = sample(users, 50, 13)
    assert len({user.name for user in first}) == 50
    assert first == sample(users, 50, 13)
    assert first != sample(users, 50, 14)
    assert len(sample(users[:7], 50, 13)) == 7
