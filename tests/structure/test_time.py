"""Nothing asks for the time or waits by itself: it takes the clock that it is handed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from keystone_rollout.hooks.database.sql import sql
from tests.structure.source import PACKAGE, PLUGINS, imported, modules, tree

CLOCK = f"{PACKAGE}.hooks.clock.system"
NOW = {"now", "utcnow", "today"}
OF = {"datetime", "date", "timezone"}


def readings(syntax: ast.Module) -> Iterator[str]:
    """Yield how a module asks for the time or waits."""
    for name in imported(syntax):
        if name.split(".")[0] == "time":
            yield name
    for node in ast.walk(syntax):
        if isinstance(node, ast.Attribute) and node.attr in NOW:
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else node.value
            name = owner.id if isinstance(owner, ast.Name) else owner
            if name in OF:
                yield f"{name}.{node.attr}"


def test_only_the_system_clock_asks_for_the_time() -> None:
    found = {
        name
        for name, path in modules().items()
        if path.is_relative_to(PLUGINS) and list(readings(tree(path)))
    }
    assert found == {CLOCK}


@pytest.mark.parametrize("name", ["select_upgrade_lock", "break_upgrade_lock"])
def test_the_age_of_a_heartbeat_is_a_difference_of_epochs(name: str) -> None:
    """Local times would be an hour wrong where summer time ends, and end a run that lives."""
    epochs = r"CAST\(UNIX_TIMESTAMP\(\) AS SIGNED\)\s+- "
    epochs += r"CAST\(UNIX_TIMESTAMP\((\w+\.)?heartbeat\) AS SIGNED\)"
    text = sql(name)
    assert re.search(epochs, text)
    assert not re.search("TIMESTAMPDIFF|INTERVAL", text)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import time", ["time"]),
        ("from time import monotonic as m", ["time.monotonic"]),
        ("def f():\n    import time as t", ["time"]),
        ("datetime.now(UTC)", ["datetime.now"]),
        ("datetime.datetime.utcnow()", ["datetime.utcnow"]),
        ("moment = field(default_factory=date.today)", ["date.today"]),
        ("timezone.utcnow()", ["timezone.utcnow"]),
        ("run.clock.now()", []),
        ("from datetime import UTC, datetime", []),
        ("datetime.fromtimestamp(clock.now(), UTC)", []),
    ],
)
def test_a_reading_would_be_seen(line: str, found: list[str]) -> None:
    assert list(readings(ast.parse(line))) == found
