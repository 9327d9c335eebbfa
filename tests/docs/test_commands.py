"""Every command of the documentation is executed by a test, here or in one that is named."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.command_run import CommandRun, run_commands
from tests.docs.covered_commands import (
    ELSEWHERE,
    PRINTS,
    RUN_HERE,
    Elsewhere,
    elsewhere,
    runs_here,
)
from tests.docs.documentation import ROOT, Found, Page, pages

COMMANDS = [command for page in pages() for command in page.commands()]


def uncovered(commands: list[Found]) -> list[str]:
    """Return the commands that nobody executes, each with its file and line."""
    return [str(each) for each in commands if not runs_here(each.text) and not elsewhere(each.text)]


def test_there_are_commands() -> None:
    assert {"README.md", "docs/runbook.md"} <= {str(each.page) for each in COMMANDS}


def test_somebody_executes_every_command() -> None:
    found = uncovered(COMMANDS)
    assert found == [], (
        "no test executes:\n" + "\n".join(found) + "\nNext: add each to "
        "tests/docs/covered_commands.py, to be run here or with the test that runs it"
    )


def test_a_command_that_nobody_runs_is_named_with_its_place() -> None:
    text = "# A\n\n```sh\n# why\nmake help  # this\nmake nothing \\\n  FROM=x\n```\n"
    plain = Page(Path("docs/x.md"), f"{text}\n```text\nplan → x\nairflow standalone\n```\n")
    assert uncovered(list(plain.commands())) == [
        "docs/x.md:6: make nothing FROM=x",
        "docs/x.md:12: airflow standalone",
    ]


def test_the_commands_that_are_run_here_succeed(command_run: CommandRun) -> None:
    wrong = [
        f"{each.command}\n  ended with {each.status}, allowed is 0:\n{each.output[-1500:]}"
        for each in command_run.outcomes
        if each.status != 0
    ]
    assert wrong == [], "\n".join(wrong)
    assert len(command_run.outcomes) >= len(RUN_HERE)


@pytest.mark.parametrize("pattern", RUN_HERE)
def test_no_pattern_is_left_over(pattern: str) -> None:
    # `make help` and `make reference` are tested below also where no page names them.
    used = [each for each in COMMANDS if re.fullmatch(pattern, each.text)]
    assert used or pattern.startswith("make (help")


def test_the_commands_print_what_they_are_for(command_run: CommandRun) -> None:
    wrong = [
        f"{each.command}: printed {each.output[-800:]!r}, expected {PRINTS[each.command.text]!r}"
        for each in command_run.outcomes
        if PRINTS.get(each.command.text, "") not in each.output
    ]
    assert wrong == []


def test_what_the_commands_leave_is_what_the_runbook_says(command_run: CommandRun) -> None:
    home = command_run.home
    assert not (home / "connections.yaml").exists()
    sudoers = (home / "keystone-rollout.sudoers").read_text()
    assert "rollout ALL=(root)" in sudoers
    wanted = ("install -m 600 ", "make connections CLOUD=production ")
    commands = [
        each.command
        for each in command_run.outcomes
        if each.command.page.name == "runbook.md" and each.command.text.startswith(wanted)
    ]
    assert len(commands) == 2
    again = run_commands(commands, command_run.project, home, command_run.environment)
    path = home / "connections.yaml"
    assert [each.status for each in again.outcomes] == [0, 0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "production_controller_1:" in path.read_text()
    path.unlink()


@pytest.mark.parametrize("command", ["make help", "make reference"])
def test_the_small_targets_work(command_run: CommandRun, command: str) -> None:
    found = Found(Path("Makefile"), 1, command)
    done = run_commands([found], command_run.project, command_run.home, command_run.environment)
    assert done.outcomes[0].status == 0, done.outcomes[0].output
    assert PRINTS[command] in done.outcomes[0].output


def test_a_failing_command_and_what_follows_it_are_told_apart(tmp_path: Path) -> None:
    commands = [Found(Path("x.md"), line, text) for line, text in enumerate(
        ["export A=1", "echo $A; false", "echo here", "exit 3", "echo never"], start=1
    )]  # fmt: skip
    done = run_commands(commands, tmp_path, tmp_path, {"PATH": "/usr/bin:/bin"})
    assert [each.status for each in done.outcomes] == [0, 1, 0, None, None]
    assert "1\n" in done.outcomes[1].output
    assert "here" in done.outcomes[2].output


@pytest.mark.parametrize("each", ELSEWHERE, ids=lambda each: each.pattern)
def test_who_executes_a_command_elsewhere_really_does(each: Elsewhere) -> None:
    path = ROOT / each.file
    assert each.text in path.read_text(encoding="utf-8"), f"{each.file} holds no {each.text!r}"
    if each.file.startswith("tests/") and path.name.startswith("test_"):
        options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
        folders = options["ini_options"]["testpaths"]
        assert any(each.file.startswith(f"{folder}/") for folder in folders)


@pytest.mark.parametrize(
    "each", [each for each in ELSEWHERE if each.recipe], ids=lambda each: each.pattern
)
def test_make_runs_what_the_test_runs(each: Elsewhere) -> None:
    target = each.pattern.split("(")[0].split()[1]
    done = make("--dry-run", target)
    assert done.returncode == 0, done.stderr
    assert each.recipe in done.stdout


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments, f"python={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_target_that_a_page_mentions_exists() -> None:
    mentioned = [
        (each, target)
        for page in pages()
        for each in page.spans()
        if each.text.startswith("make ")
        for target in re.findall(r"\bmake ([a-z-]+)", each.text)
    ]
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = [str(each) for each, target in mentioned if target not in known]
    assert mentioned
    assert unknown == []
