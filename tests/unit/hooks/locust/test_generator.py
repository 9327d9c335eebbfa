"""The real Locust runs against a small real HTTP server; its hook starts, watches and stops it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from keystone_rollout.domain.load.ledger import parse_ledger
from keystone_rollout.domain.load.profile import ACTIONS, LoadProfile
from keystone_rollout.domain.load.samples import Window, merge
from keystone_rollout.hooks.keystone.acknowledged_writes import AcknowledgedWritesHook
from keystone_rollout.hooks.locust import generator as load_generator
from keystone_rollout.hooks.locust.generator import (
    KeystoneAccount,
    LoadEnd,
    LoadGeneratorError,
    LoadGeneratorHook,
)
from keystone_rollout.hooks.locust.process import LoadProcess
from tests.stand_ins.in_memory_keystone import ADMIN_PASSWORD, InMemoryKeystone, serve
from tests.stand_ins.set_clock import SetClock

# Every action equally often: rare ones must come up within seconds.
PROFILE = LoadProfile(
    rate=80,
    users=8,
    residents=3,
    timeout=5,
    name_prefix="load-test",
    weights=dict.fromkeys(ACTIONS, 1),
)

PATIENCE_SECONDS = 90.0
"""Until what has not happened never will, on a machine whose cores others use."""


@pytest.fixture
def keystone() -> Iterator[InMemoryKeystone]:
    with serve() as server:
        yield server


@pytest.fixture
def account(keystone: InMemoryKeystone) -> KeystoneAccount:
    return KeystoneAccount(keystone.auth_url, "admin", ADMIN_PASSWORD)


@pytest.fixture
def load(tmp_path: Path) -> Iterator[LoadGeneratorHook]:
    hook = LoadGeneratorHook(tmp_path / "load")
    yield hook
    hook.stop(timeout=10)


def start(load: LoadGeneratorHook, account: KeystoneAccount, profile: LoadProfile = PROFILE) -> int:
    process = load.start(profile, account, run_time_seconds=300)
    load.wait_until_serving(PATIENCE_SECONDS)
    return process.pid


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


def window(load: LoadGeneratorHook) -> Window:
    return merge(load.samples())


def failures(load: LoadGeneratorHook) -> list[dict[str, object]]:
    lines = (load.directory / "failures.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def listening(pid: int) -> list[object]:
    """Return the sockets at which a process or a child of it takes connections."""
    process = psutil.Process(pid)
    found = [each.net_connections("all") for each in (process, *process.children(recursive=True))]
    bound = (psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT, psutil.CONN_SYN_SENT)
    return [one for each in found for one in each if one.laddr and one.status not in bound]


def own_word(load: LoadGeneratorHook) -> dict[str, object]:
    """Return what the load says of itself, without the time."""
    word: dict[str, object] = json.loads((load.directory / "state.json").read_text())
    del word["t"]
    return word


def test_a_whole_session(
    load: LoadGeneratorHook, account: KeystoneAccount, keystone: InMemoryKeystone
) -> None:
    began = time.time()
    pid = start(load, account)
    wait_for(lambda: set(ACTIONS) <= set(window(load).by_name) and len(load.samples()) >= 5)

    # Another object, as in another task's process, sees the same load.
    other = LoadGeneratorHook(load.directory)
    assert other.state() == (True, f"process {pid} is running")
    assert other.verdict().ok
    assert listening(pid) == []
    command_line = Path(f"/proc/{pid}/cmdline").read_text()
    end = other.stop()
    assert (end.how, end.report) == ("stopped", load.report)
    assert other.state() == (False, f"process {pid} has ended")

    seen = window(load)
    assert failures(load) == []
    assert seen.failures == 0
    assert seen.requests == len(keystone.state.requests)
    assert [one.t for one in load.samples()] == list(range(int(seen.start), int(seen.end)))
    assert began - 1 < seen.start < seen.end < time.time() + 1
    busy = [one.requests for one in load.samples()][2:-1]
    # Over the whole of it: how even one second is with the next depends on what else runs here.
    # Some actions make a user first, and clients that were late catch up.
    assert 0.6 * PROFILE.rate < sum(busy) / len(busy) < 1.5 * PROFILE.rate

    ledger_text = (load.directory / "ledger.jsonl").read_text()
    users = parse_ledger(ledger_text)
    living = {user.id for user in users if not user.deleted}
    made = {
        user_id
        for user_id, user in keystone.state.users.items()
        if user["name"].startswith("load-test-") and "resident" not in user["name"]
    }
    assert living == made

    secrets = [ADMIN_PASSWORD, *keystone.state.tokens]
    secrets += [user["password"] for user in keystone.state.users.values()]
    for path in load.directory.iterdir():
        content = path.read_text()
        assert not [secret for secret in secrets if secret in content], path.name
    assert not [secret for secret in secrets if secret in command_line]
    assert "Aggregated" in load.report.read_text()


def test_a_killed_load_is_dead_and_can_be_started_again(
    load: LoadGeneratorHook, account: KeystoneAccount
) -> None:
    pid = start(load, account)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: load.state() == (False, f"process {pid} has ended"))
    found = load.verdict()
    assert not found.ok
    assert found.measured == f"process {pid} has ended"
    assert "the upgrade stops before the next step" in str(found)
    assert load.stop().how == "had already ended"

    before = window(load).requests
    assert start(load, account) != pid
    wait_for(lambda: window(load).requests > before + 50)
    assert window(load).failures == 0


def test_a_load_that_stops_is_not_alive_and_loses_no_request_of_its_last_seconds(
    load: LoadGeneratorHook,
    account: KeystoneAccount,
    keystone: InMemoryKeystone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load_generator, "INTERRUPT_SECONDS", 0.3)
    pid = start(load, account)
    with ThreadPoolExecutor() as pool:
        with keystone.state.lock:
            # No request is answered meanwhile: users hang in theirs, and all further SIGINT come
            # while the first one is obeyed.
            time.sleep(1)
            ending = pool.submit(LoadGeneratorHook(load.directory).stop)
            wait_for(lambda: load.state() == (False, f"process {pid} is stopping"))
            time.sleep(1.5)
        assert ending.result(30) == LoadEnd("stopped", load.report)
    assert window(load).requests == len(keystone.state.requests)
    assert own_word(load) == {"state": "quit", "users": 0}


def test_a_load_that_hangs_is_not_alive(load: LoadGeneratorHook, account: KeystoneAccount) -> None:
    pid = start(load, account)
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: not load.is_alive())
    assert f"process {pid} has not written its state for 5 s" in load.state()[1]
    os.kill(pid, signal.SIGCONT)
    wait_for(load.is_alive)


@pytest.mark.parametrize(
    ("text", "alive", "words"),
    [
        ('{"state": "running", "users": 3, "t": 999.0}', True, "is running"),
        ('{"state": "stopped", "users": 0, "t": 999.0}', False, "is stopped"),
        ('{"state": "running", "users": 3, "t": 900.0}', False,
         "has not written its state for 100 s"),
        ('{"state": "running", "users": 3, "t": 1100.0}', False,
         "has not written its state for 100 s"),
        ('{"state": "stopping", "users": 3, "t": 999.0}', False, "is stopping"),
        ("", False, "has not written its state"),
        (None, False, "has not written its state"),
    ],
)  # fmt: skip
def test_a_process_that_stays_is_alive_only_by_its_own_fresh_word(
    tmp_path: Path, text: str | None, alive: bool, words: str
) -> None:
    load = LoadGeneratorHook(tmp_path, clock=SetClock(1000.0))
    (tmp_path / "process.json").write_text(json.dumps(asdict(LoadProcess.of(os.getpid()))))
    if text is not None:
        (tmp_path / "state.json").write_text(text)
    assert load.state() == (alive, f"process {os.getpid()} {words}")
    assert load.verdict().ok is alive


def test_a_load_that_is_started_again_is_not_alive_by_its_predecessors_word(
    load: LoadGeneratorHook,
) -> None:
    load.directory.mkdir()
    word = {"state": "running", "users": 8, "t": time.time() + 3}
    (load.directory / "state.json").write_text(json.dumps(word))
    nowhere = KeystoneAccount("http://127.0.0.1:9/v3", "admin", "secret")
    pid = load.start(PROFILE, nowhere, run_time_seconds=60).pid
    assert load.state() == (False, f"process {pid} has not written its state")


def test_the_number_of_living_users_is_bounded(
    load: LoadGeneratorHook, account: KeystoneAccount, keystone: InMemoryKeystone
) -> None:
    weights = {"create_user": 9, "get_user": 1}
    start(load, account, PROFILE.model_copy(update={"weights": weights, "living_limit": 10}))
    wait_for(lambda: "authenticate_created_user" in window(load).by_name)
    wait_for(lambda: window(load).by_name["authenticate_created_user"][0] > 30)
    load.stop()
    users = parse_ledger((load.directory / "ledger.jsonl").read_text())
    # Creations that were under way when the bound was reached still count.
    assert 10 <= len(users) < 10 + PROFILE.users


def test_starting_twice_starts_once(load: LoadGeneratorHook, account: KeystoneAccount) -> None:
    pid = start(load, account)
    again = LoadGeneratorHook(load.directory)
    assert again.start(PROFILE, account, run_time_seconds=60).pid == pid


def test_the_load_ends_by_itself(load: LoadGeneratorHook, account: KeystoneAccount) -> None:
    load.start(PROFILE, account, run_time_seconds=4)
    load.wait_until_serving(PATIENCE_SECONDS)
    wait_for(lambda: not load.is_alive())
    wait_for(lambda: not LoadProcess.load(load.directory / "process.json").runs())  # type: ignore[union-attr]
    assert load.report.exists()
    assert own_word(load) == {"state": "quit", "users": 0}


def test_a_frozen_load_is_killed_and_nobody_else(
    load: LoadGeneratorHook, account: KeystoneAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It does not end before SIGKILL, so this is waited for to its end.
    monkeypatch.setattr(load_generator, "TERMINATE_SECONDS", 0.5)
    pid = start(load, account)
    os.kill(pid, signal.SIGSTOP)
    assert load.stop(timeout=0.5).how == "ended by SIGKILL: it did not end on SIGINT"


def test_a_reused_pid_is_never_signalled(load: LoadGeneratorHook, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        load.directory.mkdir()
        theirs = LoadProcess.of(innocent.pid)
        LoadProcess(theirs.pid, theirs.start_time - 1).save(load.directory / "process.json")
        assert load.state() == (False, f"process {innocent.pid} has ended")
        assert load.stop().how == "had already ended"
        assert innocent.poll() is None
        innocent.communicate(b"\n")
    assert innocent.returncode == 0


@pytest.mark.parametrize(
    ("fault", "name", "status", "error"),
    [
        (
            "mix_up",
            "validate_token",
            200,
            "wrong content: the token belongs to another user",
        ),
        (
            "forget",
            "validate_token",
            404,
            "answered 404, expected 200: Could not find token: [secret].",
        ),
        ("fail_create", "create_user", 500, "answered 500, expected 201: Unexpected: [secret]"),
        (
            "keep_password",
            "authenticate_created_user",
            401,
            "answered 401, expected 201: Wrong password [secret] was given",
        ),
        ("close", "get_user", 0, "no complete answer: HTTPConnectionClosed connection closed."),
    ],
)
def test_what_keystone_does_wrong_is_a_failure(
    load: LoadGeneratorHook,
    account: KeystoneAccount,
    keystone: InMemoryKeystone,
    fault: str,
    name: str,
    status: int,
    error: str,
) -> None:
    start(load, account)
    keystone.state.faults.add(fault)
    wait_for(lambda: any(one["name"] == name for one in failures(load)))
    load.stop()
    found = next(one for one in failures(load) if one["name"] == name)
    assert (found["status"], found["error"]) == (status, error)
    seen = window(load)
    assert seen.failures == len(failures(load)) > 0
    # Nothing is sent a second time: as many requests arrived as were counted.
    assert seen.requests == len(keystone.state.requests)


def test_a_dead_server_is_a_failure(load: LoadGeneratorHook, account: KeystoneAccount) -> None:
    with serve() as short_lived:
        start(load, KeystoneAccount(short_lived.auth_url, "admin", ADMIN_PASSWORD))
    wait_for(lambda: any("Connection refused" in str(one["error"]) for one in failures(load)))
    assert load.is_alive()


def test_a_wrong_password_ends_it_at_once_with_the_reason(
    load: LoadGeneratorHook, keystone: InMemoryKeystone
) -> None:
    wrong = KeystoneAccount(keystone.auth_url, "admin", "not-the-password")
    load.start(PROFILE, wrong, run_time_seconds=60)
    with pytest.raises(LoadGeneratorError, match="the administrator cannot log in") as caught:
        load.wait_until_serving(PATIENCE_SECONDS)
    assert "not-the-password" not in str(caught.value)
    assert "not-the-password" not in (load.directory / "failures.jsonl").read_text()


def test_another_machine_is_refused_unless_named(load: LoadGeneratorHook) -> None:
    account = KeystoneAccount("http://192.0.2.1:5000/v3", "admin", "secret")
    load.start(PROFILE, account, run_time_seconds=60, allow_host="192.0.2.2")
    with pytest.raises(LoadGeneratorError, match=r"does not go to '192\.0\.2\.1': allowed are"):
        load.wait_until_serving(PATIENCE_SECONDS)


def test_acknowledged_writes_are_found_lost_and_removed(
    load: LoadGeneratorHook, account: KeystoneAccount, keystone: InMemoryKeystone
) -> None:
    start(load, account)
    wait_for(lambda: {"change_password", "delete_user"} <= set(window(load).by_name))
    wait_for(lambda: window(load).requests > 400)
    load.stop()
    hook = AcknowledgedWritesHook(account)
    ledger = load.directory / "ledger.jsonl"
    writes = hook.check(ledger)
    assert writes.verdict().ok, str(writes.verdict())
    assert writes.deleted > 0
    # A deletion that was sent when the load ended may have happened or not.
    assert writes.authenticated == writes.created - writes.deleted - writes.uncertain > 2

    users = keystone.state.users
    entries = parse_ledger(ledger.read_text())
    living = [user for user in entries if not user.deleted and not user.uncertain]
    deleted = next(user for user in entries if user.deleted)
    del users[living[0].id]
    users[living[1].id]["password"] = "another"
    keystone.state.cached_users[deleted.id] = {"name": deleted.name}
    writes = hook.check(ledger)
    assert (writes.undead, writes.stale) == ((), (deleted.name,))
    assert f"still read from a cache ({deleted.name})" in str(writes.note())
    users[deleted.id] = {"name": deleted.name, "password": "x"}
    writes = hook.check(ledger)
    assert (writes.missing, writes.unable, writes.undead) == (
        (living[0].name,),
        (living[1].name,),
        (deleted.name,),
    )
    assert f"1 missing ({living[0].name}); 1 unable to log in" in str(writes.verdict())

    removed = hook.remove("load-test")
    assert (removed["projects"], removed["roles"]) == (1, 1)
    assert [user["name"] for user in users.values()] == ["admin"]


def test_an_empty_ledger_proves_nothing(account: KeystoneAccount, tmp_path: Path) -> None:
    writes = AcknowledgedWritesHook(account).check(tmp_path / "ledger.jsonl")
    assert not writes.verdict().ok


def test_more_users_than_one_list_shows_are_removed(
    account: KeystoneAccount, keystone: InMemoryKeystone
) -> None:
    users = keystone.state.users
    keystone.state.list_limit = 3
    users.update({f"u{n}": {"name": f"load-test-{n}", "password": "x"} for n in range(8)})
    users["other"] = {"name": "loader-1", "password": "x"}
    assert AcknowledgedWritesHook(account).remove("load-test")["users"] == 8
    assert sorted(users) == ["admin", "other"]


def test_removal_needs_a_telling_prefix(account: KeystoneAccount) -> None:
    with pytest.raises(ValueError, match="name prefix is 'lo': too short to delete by"):
        AcknowledgedWritesHook(account).remove("lo")
