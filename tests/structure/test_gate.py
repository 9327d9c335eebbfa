"""A gate only looks: nothing that it reaches begins, ends, sets or waits."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import pytest

from tests.structure.source import PACKAGE, called, modules, tree

RUN, LOAD = f"{PACKAGE}.procedures.run", f"{PACKAGE}.procedures.load"
ROOM = (f"{RUN}.gate", f"{RUN}.witnesses", f"{LOAD}.session")
"""Modules of the gate and its witnesses: their functions are followed."""

FROM = {"open_gate", "judge"}
"""Where a walk begins: the gate, and what every witness is asked by."""

ACTS = {
    "alone", "begin", "clear", "end", "hold_lock", "keep_alive", "mark", "measure_baseline", "open",
    "release", "reset", "resume", "run", "set", "sleep", "start", "stop", "take", "wait",
    "write_json", "write_text",
}  # fmt: skip
"""What a system of a run, a witness or the record is told to do."""


def functions(syntax: ast.Module) -> dict[str, list[ast.FunctionDef]]:
    """Return a module's functions and methods by name."""
    found: dict[str, list[ast.FunctionDef]] = {}
    for node in ast.walk(syntax):
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(node)
    return found


def walk(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Return what each function that a gate reaches calls, by module and name."""
    rooms = {module: functions(syntax) for module, syntax in trees.items()}
    calls: dict[str, set[str]] = {}
    names = set(FROM)
    while names:
        name = names.pop()
        for module, defined in rooms.items():
            for function in defined.get(name, []):
                key = f"{module.rpartition('.')[2]}.{name}"
                made = called(ast.Module([function], []))  # all classes of one name count
                if not made <= calls.get(key, set()):
                    calls[key] = calls.get(key, set()) | made
                    names |= made
    return calls


def acts(trees: Mapping[str, ast.Module]) -> set[str]:
    """Return each act that a gate reaches, with the function that does it."""
    return {
        f"{name}: {call}"
        for name, made in walk(trees).items()
        for call in made
        if call in ACTS or call.startswith("wait_")
    }


def test_a_gate_and_its_witnesses_only_look() -> None:
    rooms = {name: tree(modules()[name]) for name in ROOM}
    assert acts(rooms) == set()
    reached = walk(rooms)
    assert {"gate.judge_own_lock", "gate.require", "witnesses.judge", "session.judge"} <= set(
        reached
    )
    assert [name for name, made in reached.items() if "record" in made] == ["gate.require"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("def open_gate(run):\n    run.lock.keep_alive()", {"gate: keep_alive"}),
        ("def open_gate(run):\n    run.lock.holder()", set()),
        ("def open_gate(run):\n    helper(run)\ndef helper(run):\n    run.clock.sleep(20)",
         {"helper: sleep"}),
        ("class A:\n    def judge(self):\n        return self.begun()\n"
         "    def begun(self):\n        self.variable.set(1)", {"begun: set"}),
        ("class A:\n    def judge(self): ...\nclass B:\n    def judge(self):\n"
         "        self.session.start()", {"judge: start"}),
        ("class A:\n    def judge(self): ...\n    def begin(self):\n        self.session.start()",
         set()),
        ("def open_gate(run):\n    run.load.wait_until_serving()", {"gate: wait_until_serving"}),
    ],
)  # fmt: skip
def test_an_act_would_be_seen(body: str, found: set[str]) -> None:
    seen = {each.removeprefix("room.open_") for each in acts({"a.room": ast.parse(body)})}
    assert {each.removeprefix("room.") for each in seen} == found
