"""A Keystone that falls silent does not hold up the check of the acknowledged writes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from keystone_rollout.domain.load.credentials import KeystoneAccount
from keystone_rollout.hooks.keystone.acknowledged_writes import AcknowledgedWritesHook
from tests.stand_ins.in_memory_keystone import ADMIN_PASSWORD, InMemoryKeystone, serve
from tests.stand_ins.silent_server import full_server, swallowing_server

SECONDS = 0.5
USERS = 200
"""As many would take 12 s at 0.5 s each, eight at a time."""


@pytest.fixture
def keystone() -> Iterator[InMemoryKeystone]:
    with serve() as running:
        yield running


def hook_of(url: str) -> AcknowledgedWritesHook:
    account = KeystoneAccount(auth_url=url, username="admin", password=ADMIN_PASSWORD)
    return AcknowledgedWritesHook(account, timeout=SECONDS)


def ledger_of(folder: Path) -> Path:
    path = folder / "ledger.jsonl"
    lines = [
        {"event": "created", "generation": 0, "id": f"u{n}", "name": f"load-{n}"}
        for n in range(USERS)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


@pytest.mark.parametrize("silent", [swallowing_server, full_server])
def test_without_a_first_token_the_limit_is_said(
    tmp_path: Path, silent: Callable[[], AbstractContextManager[int]]
) -> None:
    with silent() as port, pytest.raises(RuntimeError) as caught:
        hook_of(f"http://127.0.0.1:{port}/v3").check(ledger_of(tmp_path))
    assert "no answer for 0.5 s, the limit (load.profile.timeout)" in str(caught.value)
    assert "Not one write was looked up. Next: " in str(caught.value)


def test_users_are_not_asked_for_one_by_one_once_keystone_is_silent(
    tmp_path: Path, keystone: InMemoryKeystone
) -> None:
    hook = hook_of(keystone.auth_url)
    hook._session.get_token()
    with swallowing_server() as port:
        hook._api.endpoint_override = f"http://127.0.0.1:{port}/v3"
        began = time.monotonic()
        writes = hook.check(ledger_of(tmp_path))
    assert time.monotonic() - began < 5
    assert len(writes.unanswered) == USERS
    verdict = writes.verdict()
    assert not verdict.ok
    assert f"{USERS} without a usable answer within load.profile.timeout (load-0, " in str(verdict)


def test_nor_is_each_of_them_deleted(keystone: InMemoryKeystone) -> None:
    hook = hook_of(keystone.auth_url)
    keystone.state.users.update(
        {f"u{n}": {"name": f"load-{n}", "password": "x"} for n in range(USERS)}
    )
    ids = hook._ids("users", "load-")
    ids += [f"{one}b" for one in ids]
    with swallowing_server() as port:
        hook._ids = lambda _kind, _start: ids  # type: ignore[method-assign]
        hook._api.endpoint_override = f"http://127.0.0.1:{port}/v3"
        began = time.monotonic()
        with pytest.raises(Exception, match=r"load\.profile\.timeout|timed out"):
            hook.remove("load")
    assert time.monotonic() - began < 5
