"""No wait for the database is without an end, and the limit that it reached is named."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from keystone_rollout.domain.cloud.model import Limits
from keystone_rollout.hooks.database.comparison import SchemaReader
from keystone_rollout.hooks.database.connection import DatabaseHook, DatabaseSilent
from tests.stand_ins import greeting_database as greeting
from tests.stand_ins.silent_server import full_server, swallowing_server

CLIENTS = ["mysqlclient", "mysql-connector-python"]
LIMITS = Limits(connect_seconds=1, statement_seconds=2)
MUCH = 6.0
"""Seconds that no test here takes, and that a wait without an end does."""


def hook(monkeypatch: pytest.MonkeyPatch, client: str, port: int) -> DatabaseHook:
    connection = {
        "conn_type": "mysql", "host": "127.0.0.1", "port": port, "login": "u", "password": "p",
        "extra": {"client": client},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_A_DATABASE", json.dumps(connection))
    return DatabaseHook("a_database", limits=LIMITS)


def gave_up(action: Callable[[], object]) -> tuple[str, float]:
    began = time.monotonic()
    with pytest.raises(DatabaseSilent) as caught:
        action()
    return str(caught.value), time.monotonic() - began


@contextmanager
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Let the greeting database go on until the list holds something, and say nothing after it."""
    silent: list[bool] = []
    send = greeting._send

    def sending(connection: Any, number: int, packet: bytes) -> None:
        if not silent:
            send(connection, number, packet)

    monkeypatch.setattr(greeting, "_send", sending)
    yield silent


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", [swallowing_server, full_server])
def test_a_server_that_takes_no_connection_is_given_up(
    monkeypatch: pytest.MonkeyPatch, client: str, server: Callable[[], AbstractContextManager[int]]
) -> None:
    with server() as port:
        asked = hook(monkeypatch, client, port)
        text, seconds = gave_up(lambda: asked.get_first("SELECT 1"))
    assert seconds < MUCH
    assert f"database 127.0.0.1:{port} (connection a_database) did not take a connection" in text
    assert re.search(r"measured \d s without an answer, limit 1 s \(limits.connect_seconds\)", text)
    assert "Next: " in text


@pytest.mark.parametrize("client", CLIENTS)
def test_a_statement_that_is_not_answered_is_given_up(
    monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    with greeting.greeting_database(None) as server, mute(monkeypatch) as silent:
        asked = hook(monkeypatch, client, server.port)
        with_it = asked.get_conn()
        silent.append(True)
        monkeypatch.setattr(asked, "get_conn", lambda: with_it)
        text, seconds = gave_up(lambda: asked.run("SELECT 1"))
    assert seconds < MUCH
    assert "did not answer a statement: measured " in text
    assert "limit 2 s (limits.statement_seconds)" in text


@pytest.mark.parametrize("client", CLIENTS)
def test_so_is_one_over_a_cursor_that_is_kept(monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    with greeting.greeting_database(None) as server, mute(monkeypatch) as silent:
        reader = SchemaReader("a_database", "keystone", limits=LIMITS)
        reader.hook = hook(monkeypatch, client, server.port)
        with reader.cursor() as cursor:
            silent.append(True)
            text, seconds = gave_up(lambda: reader.ask(cursor, "SELECT 1"))
    assert seconds < MUCH
    assert "limits.statement_seconds" in text


def test_an_error_that_comes_at_once_is_the_drivers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = hook(monkeypatch, "mysqlclient", 1)
    with pytest.raises(Exception, match="Can't connect") as caught:
        refused.get_conn()
    assert not isinstance(caught.value, DatabaseSilent)
