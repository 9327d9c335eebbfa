"""A report tells which release the service was started from, whatever was done to the clock."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from keystone_rollout.domain.node.release_report import (
    NOTE,
    NodeReport,
    RunningRelease,
    parse_release_report,
)
from keystone_rollout.domain.node.steps import NodeSteps, Step, node_command

OLD, NEW = "12.0.3", "13.0.4"
FACTS = {"name": "cloud", "source": OLD, "target": NEW, "key_repository": "/keys"}
NOON, HOUR = 1_000_000_000, 3600


@pytest.mark.parametrize(
    ("text", "release", "words"),
    [
        ("13.0.4 100 150\n", RunningRelease("13.0.4", True), "13.0.4 running"),
        ("13.0.4 100 100\n", RunningRelease("13.0.4", True), "13.0.4 running"),
        (
            "13.0.4 100 stopped\n",
            RunningRelease("13.0.4", False),
            "13.0.4 installed, service stopped",
        ),
        (
            "13.0.4 100 99\n",
            RunningRelease("13.0.4", True, stale=True),
            "13.0.4 installed, service still runs what was there before",
        ),
    ],
)  # fmt: skip
def test_a_release_report_is_read(text: str, release: RunningRelease, words: str) -> None:
    assert parse_release_report(text) == release
    assert str(release) == words
    assert release.serves("13.0.4") == words.endswith("4 running")
    assert not release.serves("12.0.3")


def test_a_node_serves_the_build_that_is_asked_for() -> None:
    branch, package = RunningRelease("27.0.1.dev7", True), RunningRelease("29.0.0", True)
    assert branch.serves("27.0.1.dev7")
    assert not branch.serves("27.0.1")
    assert package.serves("2:29.0.0-0ubuntu1.2")
    assert not RunningRelease("29.0.0", False).serves("2:29.0.0-0ubuntu1.2")


@pytest.mark.parametrize(
    "text",
    [
        "", "13.0.4", "13.0.4 yesterday 150", "a b c d", "13.0.4 1 soon", "13.0.4 1 2 boot. 3",
        "13.0.4 1 2 boot.7", "13.0.4 1 stopped boot.7 3",
    ],
)  # fmt: skip
def test_any_other_report_is_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="report_release printed") as caught:
        parse_release_report(text)
    assert str(caught.value) == (
        f"report_release printed {text!r}; expected: version installed stopped, or version "
        "installed started process now"
    )


def certain(text: str) -> RunningRelease:
    """Return a report that does not rest on dates."""
    report = parse_release_report(text)
    assert report.certain
    assert report.in_full == str(report)
    return report


NOTED = "13.0.4 100.7 150 boot-1.5000 160"


@pytest.mark.parametrize(
    ("now", "stale"),
    [
        ("13.0.4 100.7 150 boot-1.5000 900", False),
        ("13.0.4 100.7 9 boot-1.5000 8", False),  # the clock was set back
        ("13.0.4 100.7 800 boot-1.6000 900", False),  # restarted by somebody
        ("13.0.4 100.7 8 boot-2.10 9", False),  # after a reboot, with a clock that begins anew
        ("13.0.4 100.7 150 boot-1.4999 900", True),  # older than what was noted
        ("12.0.3 90.8 150 boot-1.5000 900", True),  # replaced, with dates that say the opposite
        ("13.0.4 100.8 150 boot-1.5000 900", True),  # the same version, other packages
        ("13.0.4 101.7 150 boot-1.5000 900", True),
        ("12.0.3 90.8 150 boot-1.4000 900", True),
    ],
)
def test_a_note_tells_whatever_the_dates_are(now: str, stale: bool) -> None:
    assert certain(f"{now}\n{NOTED}\n").stale is stale


@pytest.mark.parametrize(
    ("now", "stale"),
    [
        ("13.0.4 100.7 150 boot-1.5000 900", False),
        ("13.0.4 100.7 99 boot-1.5000 900", True),
        ("13.0.4 1000.7 1001 boot-1.5000 900", True),  # dates in the future: the clock was set
        ("13.0.4 100.7 901 boot-1.5000 900", True),
    ],
)
@pytest.mark.parametrize(
    "note",
    [
        "",
        "nonsense",
        "13.0.4 100 150",  # of a step of one's own, which names no process
        "12.0.3 90.8 95 boot-1.4000 96",  # replaced and restarted by somebody since
        "12.0.3 90.8 95 boot-0.9000 96",
    ],
)
def test_dates_alone_make_nothing_certain(now: str, stale: bool, note: str) -> None:
    report = parse_release_report(f"{now}\n{note}")
    assert (report.stale, report.certain) == (stale, False)
    assert report.serves(NEW) is not stale
    assert not report.serves_for_certain(NEW)
    assert not NodeReport(report).serves_for_certain(NEW)


def test_what_is_not_certain_is_said() -> None:
    assert RunningRelease(NEW, True, certain=False).in_full == (
        "13.0.4 running, but only file dates say so: it was not started by an upgrade"
    )
    assert str(RunningRelease(NEW, True, stale=True, certain=False)) == (
        "13.0.4 installed, service may still run what was there before"
    )
    assert NodeReport(problem="gone").in_full == "unknown: gone"
    assert not NodeReport(problem="gone").serves_for_certain(NEW)


PROGRAMS = {
    "sudo": 'shift; program=$1; shift; exec "${program##*/}" "$@"',
    "date": "cat clock",
    "dpkg-query": "cat version",
    "rpm": 'case "$3" in *RELEASE*) cat version inode installed ;; '
    '*) echo "$(cat version) $(cat installed)" ;; esac',
    "stat": 'case "$2 $3" in %Z.%i*.list) echo "$(cat installed).$(cat inode)" ;; '
    "*.list) cat installed ;; *) cat started ;; esac",
    "ps": 'kill -0 "$4" 2>/dev/null && echo "  $(( $(cat clock) - $(cat started) ))"',
    "service": 'exec systemctl "$2" "$1"',
    "systemctl": """case $1 in
show) echo "MainPID=$(cat pid 2>/dev/null || echo 0)" ;;
is-active) test -e pid ;;
start) test -e pid && exit 0
  test -e broken && { echo "it does not start" >&2; exit 3; }
  setsid sleep 600 >/dev/null 2>&1 & echo $! >pid; cat clock >started ;;
stop) test -e deaf || { kill "$(cat pid)" && rm pid; } ;;
esac""",
}


@dataclass
class Node:
    """Play a node whose clock can be set; its service is a process of this machine."""

    folder: Path
    steps: NodeSteps
    shell: str
    inode: int = 0

    def write(self, **texts: object) -> None:
        for name, text in texts.items():
            (self.folder / name).write_text(f"{text}\n")

    def set_clock(self, to: int) -> None:
        self.write(clock=to)

    def install(self, version: str) -> None:
        self.inode += 1
        self.write(
            version=version, inode=self.inode, installed=(self.folder / "clock").read_text().strip()
        )

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.shell, "-c", text],
            cwd=self.folder,
            env={"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    def by_hand(self, *acts: str) -> None:
        for act in acts:
            assert self.run(f"systemctl {act} keystone").returncode == 0

    def step(self, step: Step) -> str:
        done = self.run(node_command(self.steps, step, NEW, FACTS))
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def report(self) -> RunningRelease:
        return parse_release_report(self.step(Step.REPORT_RELEASE))

    def replace(self, version: str) -> None:
        """Do what a cycle does."""
        self.step(Step.STOP)
        assert not self.report().running
        self.install(version)
        self.step(Step.START)


@pytest.fixture(params=["apt sh", "dnf bash"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """Return a node with the old release, started when the machine was; it is noon there."""
    preset, shell = request.param.split()
    variables = {"repository": "deb x", "pid_file": "pid"} if preset == "apt" else {}
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, body in PROGRAMS.items():
        (binaries / name).write_text(f"#!/bin/sh\n{body}\n")
        (binaries / name).chmod(0o755)
    made = Node(tmp_path, NodeSteps(preset=preset, variables=variables), shell)
    made.set_clock(NOON - HOUR)
    made.install(OLD)
    made.set_clock(NOON)
    made.by_hand("start")
    yield made
    pid = tmp_path / "pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGKILL)


CLOCKS = [0, 2 * HOUR, -2 * HOUR]
JUMPS = [(0, 0), (2 * HOUR, 0), (-2 * HOUR, 0), (0, -2 * HOUR), (2 * HOUR, -2 * HOUR)]
"""The clock when packages are replaced, and when a report is asked for, beside noon."""


def test_nobody_noted_what_the_machine_started(node: Node) -> None:
    found = node.report()
    assert (found.serves(OLD), found.serves_for_certain(OLD)) == (True, False)


@pytest.mark.parametrize(("during", "after"), JUMPS)
def test_what_a_cycle_started_is_certain_whenever_the_clock_is_set(
    node: Node, during: int, after: int
) -> None:
    node.set_clock(NOON + during)
    node.replace(NEW)
    node.set_clock(NOON + after)
    assert node.report().serves_for_certain(NEW)


@pytest.mark.parametrize(("during", "after"), JUMPS)
def test_packages_replaced_without_a_restart_are_stale_whenever_the_clock_is_set(
    node: Node, during: int, after: int
) -> None:
    node.set_clock(NOON + 2 * HOUR)
    node.replace(OLD)
    node.set_clock(NOON + during)
    node.install(NEW)
    node.set_clock(NOON + after)
    found = node.report()
    assert (found.running, found.stale, found.certain) == (True, True, True)


@pytest.mark.parametrize("during", CLOCKS)
def test_nobodys_process_is_never_certain_to_be_the_target(node: Node, during: int) -> None:
    node.set_clock(NOON + during)
    node.install(NEW)
    node.set_clock(NOON)
    assert not node.report().serves_for_certain(NEW)
    node.set_clock(NOON + 3 * HOUR)
    assert not node.report().serves_for_certain(NEW)


def test_a_restart_by_somebody_else_is_certain_as_long_as_the_packages_are_noted(
    node: Node,
) -> None:
    node.replace(NEW)
    node.set_clock(NOON - 2 * HOUR)
    node.by_hand("stop", "start")
    assert node.report().serves_for_certain(NEW)
    node.install(OLD)
    assert not node.report().certain, "which came first is not known any more"
    node.set_clock(NOON + HOUR)
    node.by_hand("stop", "start")
    found = node.report()
    assert (found.serves(OLD), found.certain) == (True, False)


def test_other_packages_of_the_same_version_and_second_are_other_packages(node: Node) -> None:
    node.replace(NEW)
    node.install(NEW)
    assert node.report().stale


def test_a_service_that_step_stop_did_not_stop_is_not_noted_as_new(node: Node) -> None:
    node.replace(OLD)
    node.write(deaf="")
    node.set_clock(NOON - 2 * HOUR)
    node.step(Step.STOP)
    node.install(NEW)
    node.set_clock(NOON)
    node.step(Step.START)
    assert node.report().stale
    (node.folder / NOTE).unlink()
    node.step(Step.START)
    assert not node.report().serves_for_certain(NEW)


def test_a_start_that_fails_says_so_and_is_not_noted(node: Node) -> None:
    node.step(Step.STOP)
    node.write(broken="")
    failed = node.run(node_command(node.steps, Step.START, NEW, FACTS))
    assert (failed.returncode, failed.stderr) == (3, "it does not start\n")
    assert not (node.folder / NOTE).exists()
    gone = node.steps.model_copy(update={"override": {Step.REPORT_RELEASE: "set -e; exit 5; :"}})
    assert node.run(node_command(gone, Step.REPORT_RELEASE, NEW, FACTS)).returncode == 5


def test_packages_that_change_while_the_service_starts_are_not_noted(node: Node) -> None:
    node.step(Step.STOP)
    text = "sudo -n systemctl start keystone\necho 13.0.4 >version; echo 9 >inode"
    steps = node.steps.model_copy(update={"override": {Step.START: text}})
    assert node.run(node_command(steps, Step.START, NEW, FACTS)).returncode == 0
    assert not node.report().certain


def test_a_start_of_ones_own_is_noted_and_a_report_of_ones_own_is_taken_at_its_word(
    node: Node,
) -> None:
    node.steps = node.steps.model_copy(
        update={"override": {Step.START: "set -e\nsudo -n systemctl start keystone # as ever"}}
    )
    node.replace(NEW)
    assert node.report().serves_for_certain(NEW)
    node.steps = node.steps.model_copy(
        update={"override": {Step.REPORT_RELEASE: "echo 13.0.4 100 150"}}
    )
    assert node.report() == RunningRelease(NEW, True)
