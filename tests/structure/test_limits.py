"""Whatever opens a connection is told the cloud file's limit: libraries wait without an end."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.structure.source import ROOT, modules, tree

LIMITED: dict[str, str | tuple[str, ...]] = {
    "DatabaseHook": "limits", "SchemaReader": "limits", "SshConnection": "limits",
    "KeystoneApiHook": "timeout", "NodeProver": "timeout", "AcknowledgedWritesHook": "timeout",
    "DockerHook": "timeout", "HaproxyRuntimeHook": "seconds", "client.wait": "limit",
    "create_connection": ("timeout", "SECONDS"),
}  # fmt: skip
"""What waits, and how the argument ends that says for how long."""


def unlimited(syntax: ast.Module) -> Iterator[str]:
    """Yield each call that waits and is not told for how long."""
    for node in ast.walk(syntax):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = [*(ast.unparse(each) for each in node.args)]
            given += [
                text for each in node.keywords for text in (each.arg or "", ast.unparse(each.value))
            ]
            for name, limit in LIMITED.items():
                if called.endswith(name) and not any(each.endswith(limit) for each in given):
                    yield f"{node.lineno}: {called}"


def test_whatever_waits_is_told_for_how_long() -> None:
    product = {n: p for n, p in modules().items() if p.is_relative_to(ROOT / "plugins")}
    assert {n: found for n, p in product.items() if (found := [*unlimited(tree(p))])} == {}
    text = "".join(path.read_text(encoding="utf-8") for path in product.values())
    assert [each for each in LIMITED if f"{each}(" not in text] == []


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("DatabaseHook(name, cloud.tls)", True),
        ("DatabaseHook(name, cloud.tls, limits=cloud.limits)", False),
        ("SchemaReader(name, schema, cloud.tls, cloud.limits)", False),
        ("client.wait(container)", True),
        ("client.wait(container, timeout=limit)", False),
        ("DockerHook(docker_conn_id=None, base_url=DOCKER)", True),
    ],
)
def test_a_wait_without_an_end_would_be_seen(line: str, seen: bool) -> None:
    assert bool(list(unlimited(ast.parse(line)))) is seen
