"""The grants of the runbook are enough for all that the product does, and preflight agrees."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import docker
import pytest

from keystone_rollout.hooks.database.keystone import (
    ADMINISTRATOR_NEEDS,
    KEYSTONE_NEEDS,
    SEE_SESSIONS,
    SET_GLOBAL,
    has_global_right,
    missing_privileges,
)
from keystone_rollout.procedures.restore import checks as restore_checks
from lab.cloud import database
from lab.topology import DATABASE_PORT, HOST
from tests.docs.granted_accounts import ACCOUNTS, Server, accounts, do_everything, statements


class Granted:
    """Answer SHOW GRANTS with what the runbook grants to one account."""

    def __init__(self, account: str) -> None:
        self.rows = [
            (each,) for each in statements() if each.startswith("GRANT") and f"'{account}'@" in each
        ]

    def get_records(self, question: str) -> list[tuple[str]]:
        assert "SHOW GRANTS" in question
        return self.rows


@pytest.mark.parametrize(
    ("role", "needed", "schema"),
    [
        ("keystone", KEYSTONE_NEEDS, "keystone"),
        ("administrator", ADMINISTRATOR_NEEDS, "keystone"),
        ("administrator", restore_checks.ADMINISTRATOR_NEEDS, "keystone"),
        ("administrator", restore_checks.SEES_OTHERS, "*"),
        ("reader", ("SELECT",), "keystone"),
    ],
)
def test_nothing_that_is_checked_is_missing(
    role: str, needed: tuple[str, ...], schema: str
) -> None:
    hook: Any = Granted(ACCOUNTS[role])
    assert hook.rows
    assert missing_privileges(hook, needed, schema) == []


def test_the_administrator_may_set_and_see_and_nobody_else_may() -> None:
    admin: Any = Granted(ACCOUNTS["administrator"])
    assert has_global_right(admin, SET_GLOBAL)
    assert has_global_right(admin, SEE_SESSIONS)
    for role in ("reader", "keystone"):
        other: Any = Granted(ACCOUNTS[role])
        assert not has_global_right(other, ("SUPER", "ALL PRIVILEGES"))
        assert not any(re.search(r"ON \*\.\*", row[0]) for row in other.rows)


def test_every_account_is_one_of_the_three() -> None:
    named = {each for text in statements() for each in re.findall(r"'(\w+)'@'192", text)}
    assert named == set(ACCOUNTS.values())


@pytest.mark.lab
def test_the_accounts_can_do_what_an_upgrade_and_a_restore_do(
    lab: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(HOST, DATABASE_PORT, database.execute)
    with accounts(server, monkeypatch, tmp_path) as cloud:
        do_everything(cloud, server)
