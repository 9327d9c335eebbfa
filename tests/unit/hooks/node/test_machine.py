"""Commands on a node: one at a time, also when a session drops; real bash and real flock."""

from __future__ import annotations

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from paramiko import SSHException

from keystone_rollout.domain.node.command_lock import under_lock
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.hooks.node import machine as node_machine
from keystone_rollout.hooks.node.machine import CHANGING, StepFailed
from tests.stand_ins.local_node import DROPPED, LocalNode, machine, wait_until

# One at a time: a second one that comes in between finds the directory, and says so. It leaves the
# directory to whoever made it: with two to remove it, the later one's step would fail.
_SCRIPT = (
    "if mkdir busy; then last='rmdir busy'; else echo OVERLAP >>log; last=true; fi; "
    "echo begin >>log; {}; echo end >>log; $last"
)
SLOW = _SCRIPT.format("sleep 0.5")
HELD = _SCRIPT.format("until test -e go; do sleep 0.02; done")


@pytest.fixture
def node(tmp_path: Path) -> LocalNode:
    return LocalNode(tmp_path)


def failure(node: LocalNode, step: Step, override: dict[str, str], seconds: float = 20) -> str:
    with pytest.raises(StepFailed) as caught:
        machine(node, override, seconds).run(step, "13.0.4")
    return str(caught.value)


def test_the_steps_that_change_the_node_are_these() -> None:
    assert {step.value for step in CHANGING} == {
        "stop", "enable_repository", "install", "configure", "start", "keep_current", "stage",
    }  # fmt: skip


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("step", [Step.STAGE, Step.REPORT_RELEASE])
def test_output_comes_back_as_it_was_printed(tmp_path: Path, step: Step, shell: str) -> None:
    text = """set -e
for word in "a  b" 'c"d'; do
  printf '%s|' "$word"  # it's a comment
done
echo 'two
lines'; echo warning >&2
"""
    node = LocalNode(tmp_path, shell)
    assert machine(node, {step.value: text}).run(step, "13.0.4") == 'a  b|c"d|two\nlines\n'
    assert (tmp_path / "keystone-rollout").exists() is (step is Step.STAGE)


@pytest.mark.parametrize("step", [Step.INSTALL, Step.KEY_FINGERPRINT])
def test_a_failed_command_is_a_failed_step(node: LocalNode, step: Step) -> None:
    text = "set -e; echo out; echo one >&2; echo two >&2; (exit 7); echo never >>log"
    assert failure(node, step, {step.value: text}) == (
        f"keystone-1: step {step.value} ended with exit status 7, allowed is 0. "
        "It printed: one | two"
    )
    assert node.log == []
    assert len(node.commands) == 1


@pytest.mark.parametrize("status", [75, 124])
def test_a_status_of_our_own_says_no_more_than_it_means(node: LocalNode, status: int) -> None:
    text = failure(node, Step.STOP, {"stop": f"echo out; exit {status}"})
    assert f"step stop ended with exit status {status}" in text
    assert text.endswith("allowed is 0. It printed: out")


def waits_first(node: LocalNode, name: str) -> bool:
    """Tell whether the newest command that waits for the lock is the one of this name.

    It says its name before it asks for the lock; only the kernel knows that it does not have it.
    """
    named = (node.home / "keystone-rollout" / "next").read_text().startswith(f"{name} 13.0.4")
    return named and bool(blocked(node))


def blocked(node: LocalNode) -> list[int]:
    """Return the processes of a node that wait for a lock, as the kernel lists them."""
    found = re.findall(r"-> FLOCK +ADVISORY +WRITE (\d+) ", Path("/proc/locks").read_text())
    return [int(pid) for pid in found if runs_in(int(pid), node.home)]


def runs_in(pid: int, folder: Path) -> bool:
    """Tell whether a process, which may have ended by now, runs in a folder."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == folder.resolve()
    except OSError:
        return False


def test_two_commands_never_run_side_by_side(node: LocalNode) -> None:
    override = {"install": HELD, "stop": HELD}
    with ThreadPoolExecutor(2) as pool:
        pool.submit(machine(node, override).run, Step.INSTALL, "13.0.4")
        wait_until(node.wrote("begin"))
        second = pool.submit(machine(node, override).run, Step.STOP, "13.0.4")
        wait_until(lambda: waits_first(node, "stop"))
        (node.home / "go").touch()
        second.result()
    assert node.log == ["begin", "end"] * 2


def test_commands_that_run_side_by_side_would_be_seen(node: LocalNode) -> None:
    override = {"report_release": HELD, "key_fingerprint": _SCRIPT.format("touch go")}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(machine(node, override).run, Step.REPORT_RELEASE, "13.0.4")
        wait_until(node.wrote("begin"))
        machine(node, override).run(Step.KEY_FINGERPRINT, "13.0.4")
        first.result()
    assert node.log[:3] == ["begin", "OVERLAP", "begin"]


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize(
    "how",
    [DROPPED, EOFError(), SSHException("Channel closed"), ConnectionResetError(104, "reset")],
    ids=["no status", "EOF", "SSH", "socket"],
)
def test_a_dropped_session_waits_for_its_command_and_runs_it_once_more(
    tmp_path: Path, how: int | Exception, shell: str
) -> None:
    node = LocalNode(tmp_path, shell)
    node.drops = [(node.wrote("begin"), how)]
    notes: list[str] = []
    script = f"echo words; {SLOW}; echo done"
    output = machine(node, {"install": script}, note=notes.append).run(Step.INSTALL, "13.0.4")
    assert output == "words\ndone\n"
    # The first one wrote into a session that was gone, and yet came to its end.
    assert node.log == ["begin", "end"] * 2
    (note,) = notes
    match = re.fullmatch(
        r"session dropped during install; waited (\d+\.\d) s for the command that went on; "
        "ran it again",
        note,
    )
    assert match is not None
    assert 0.2 < float(match[1]) < 10
    assert node.opened == 3
    node.wait_for_the_left()


def test_a_dropped_question_is_asked_again_without_a_wait(node: LocalNode) -> None:
    node.drops = [(lambda: True, DROPPED)]
    notes: list[str] = []
    asked = machine(node, {"report_release": "echo 13.0.4 1 2"}, note=notes.append)
    assert asked.run(Step.REPORT_RELEASE, "13.0.4") == "13.0.4 1 2\n"
    assert notes == ["session dropped during report_release; ran it again"]
    assert node.opened == 2


def test_a_question_does_not_wait_for_a_change(node: LocalNode) -> None:
    override = {"install": HELD, "report_release": "echo 13.0.4 1 2"}
    with ThreadPoolExecutor(1) as pool:
        pool.submit(machine(node, override).run, Step.INSTALL, "13.0.4")
        wait_until(node.wrote("begin"))
        assert machine(node, override).run(Step.REPORT_RELEASE, "13.0.4") == "13.0.4 1 2\n"
        assert node.log == ["begin"]
        (node.home / "go").touch()


def test_a_command_whose_session_drops_while_it_waits_runs_once_only(node: LocalNode) -> None:
    override = {"install": HELD, "stop": "echo stop >>log"}

    def drop() -> bool:
        if not waits_first(node, "stop"):
            return False
        (node.home / "go").touch()
        return True

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(machine(LocalNode(node.home), override).run, Step.INSTALL, "13.0.4")
        wait_until(node.wrote("begin"))
        node.drops = [(drop, DROPPED)]
        machine(node, override).run(Step.STOP, "13.0.4")
        running.result()
    node.wait_for_the_left()
    assert node.log == ["begin", "end", "stop"]


def test_a_command_that_was_left_waiting_does_not_run_late(node: LocalNode) -> None:
    """A task that was killed does not come back; its session just ends."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(machine(node, {"install": HELD}).run, Step.INSTALL, "13.0.4")
        wait_until(node.wrote("begin"))
        late = subprocess.Popen(
            ["bash", "-c", under_lock("stop 13.0.4", "echo late >>log", 20)],
            cwd=node.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_until(lambda: waits_first(node, "stop"))
        for pipe in (late.stdout, late.stderr):
            assert pipe is not None
            pipe.close()
        (node.home / "go").touch()
        running.result()
    assert late.wait(10) != 0
    assert node.log == ["begin", "end"]


def test_a_later_command_takes_the_place_of_one_that_waits(node: LocalNode) -> None:
    override = {"install": HELD, "stop": "echo stop >>log", "start": "echo start >>log"}
    with ThreadPoolExecutor(3) as pool:
        pool.submit(machine(node, override).run, Step.INSTALL, "13.0.4")
        wait_until(node.wrote("begin"))
        stop = pool.submit(machine(node, override).run, Step.STOP, "13.0.4")
        wait_until(lambda: waits_first(node, "stop"))
        pool.submit(machine(node, override).run, Step.START, "13.0.4")
        wait_until(lambda: waits_first(node, "start"))
        (node.home / "go").touch()
        with pytest.raises(StepFailed) as caught:
            stop.result()
    assert "step stop was not started: a later command took its place: start 13.0.4, asked" in str(
        caught.value
    )
    assert node.log == ["begin", "end", "start"]


def test_a_lock_that_stays_taken_names_its_holder(node: LocalNode) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(machine(node, {"install": HELD}).run, Step.INSTALL, "13.0.4")
        wait_until(node.wrote("begin"))
        text = failure(node, Step.STOP, {"stop": "echo stop >>log"}, seconds=1)
        (node.home / "go").touch()
    assert re.fullmatch(
        r"keystone-1: step stop was not started: ~/keystone-rollout/lock was not free within 1 s, "
        r"it is held by: install 13\.0\.4, asked for at \d{4}-\d\d-\d\dT[\d:.]+Z, process \d+\. "
        r"The limit is limits\.node\.command_seconds; what holds the lock may still change the "
        r"node\. Next: let it end, or end it on the node",
        text,
    )
    assert node.log == ["begin", "end"]


def test_without_flock_nothing_runs(node: LocalNode, tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("bash", "cat", "date", "mkdir", "timeout"):
        (binaries / name).symlink_to(f"/usr/bin/{name}")
    script = under_lock("stop 13.0.4", "echo stop >>log", 1)
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=tmp_path,
        env={"PATH": str(binaries)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 127
    assert "flock: command not found" in done.stderr
    assert node.log == []


def test_a_command_does_not_outlive_its_limit(node: LocalNode) -> None:
    text = failure(node, Step.INSTALL, {"install": "echo a; sleep 30; echo b >>log"}, seconds=1)
    assert text == (
        "keystone-1: step install ended with exit status 124 (not done within 1 s), allowed is 0. "
        "It printed: a"
    )
    assert machine(node, {"stop": "echo free"}, 1).run(Step.STOP, "13.0.4") == "free\n"
    assert node.log == []


def test_what_a_time_out_does_not_end_keeps_the_lock(node: LocalNode) -> None:
    """As a command of root's does, which the account cannot end."""
    script = "trap '' TERM; echo begin >>log; sleep 1.5; sleep 0.5; echo end >>log"
    (node.home / "stubborn").write_text(script)
    began = time.monotonic()
    override = {"install": "bash stubborn; echo never >>log"}
    assert "status 124 (not done within 1 s)" in failure(node, Step.INSTALL, override, seconds=1)
    machine(node, {"stop": "echo stop >>log"}, 5).run(Step.STOP, "13.0.4")
    assert time.monotonic() - began > 1.5
    assert node.log == ["begin", "end", "stop"]


def test_a_connection_that_cannot_be_opened_fails_at_once(node: LocalNode) -> None:
    node.refusals = [ConnectionRefusedError(111, "Connection refused")]
    assert failure(node, Step.INSTALL, {}) == (
        "keystone-1: step install could not run over SSH connection lab_keystone_1: "
        "[Errno 111] Connection refused"
    )
    assert (node.opened, node.commands) == (1, [])


def test_a_node_that_comes_back_late_is_waited_for(
    node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keystone_rollout.hooks.places.ssh.RECONNECT_PAUSE_SECONDS", 0.05)

    def drop() -> bool:
        node.refusals = [ConnectionRefusedError("no"), SSHException("no"), EOFError("no")]
        return True

    node.drops = [(drop, DROPPED)]
    assert machine(node, {"stop": "echo stopped"}).run(Step.STOP, "13.0.4") == "stopped\n"
    assert node.opened == 6


SECOND = ". That was the second try; in the first the session dropped (no exit status)"


def test_a_node_that_does_not_come_back_fails_with_both_reasons(
    node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_machine, "RECONNECT_SECONDS", 0.0)

    def drop() -> bool:
        node.refusals = [ConnectionRefusedError(111, "Connection refused")]
        return True

    node.drops = [(drop, DROPPED)]
    assert failure(node, Step.STOP, {"stop": "true"}) == (
        "keystone-1: step stop could not run over SSH connection lab_keystone_1: "
        f"[Errno 111] Connection refused{SECOND}"
    )
    node.wait_for_the_left()


def test_a_second_try_that_fails_says_so_and_is_the_last(node: LocalNode) -> None:
    node.drops = [(node.wrote("x"), DROPPED)]
    notes: list[str] = []
    with pytest.raises(StepFailed) as caught:
        machine(node, {"stop": "echo x >>log; echo why >&2; exit 3"}, note=notes.append).run(
            Step.STOP, "13.0.4"
        )
    assert str(caught.value) == (
        f"keystone-1: step stop ended with exit status 3, allowed is 0. It printed: why{SECOND}"
    )
    assert node.log == ["x", "x"]
    assert notes == []


def test_a_session_that_drops_twice_is_a_failed_step(node: LocalNode) -> None:
    reported = {"report_release": "echo x >>log"}
    node.drops = [(node.wrote("x"), DROPPED), (lambda: True, SSHException("gone"))]
    assert failure(node, Step.REPORT_RELEASE, reported) == (
        "keystone-1: step report_release could not run over SSH connection lab_keystone_1: "
        f"the session dropped (gone){SECOND}"
    )
    node.wait_for_the_left()
    assert len(node.commands) == 2


def test_a_question_that_hangs_is_a_failed_step_and_is_ended(node: LocalNode) -> None:
    text = failure(node, Step.REPORT_RELEASE, {"report_release": "echo a; sleep 60"}, seconds=1)
    assert text == (
        "keystone-1: step report_release ended with exit status 124 (not done within 1 s), allowed "
        "is 0. It printed: a"
    )
    assert len(node.commands) == 1


def test_silence_for_too_long_is_a_failed_step(
    node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is dead without a sign: the node's own limit is not heard of."""
    monkeypatch.setattr(node_machine, "ANSWER_SECONDS", 0.3)
    node.shell = str(node.home / "unheard")
    Path(node.shell).write_text("#!/bin/bash\nexec sleep 20\n")
    Path(node.shell).chmod(0o755)
    assert failure(node, Step.STOP, {"stop": "true"}, seconds=1) == (
        "keystone-1: step stop could not run over SSH connection lab_keystone_1: "
        "it gave no sign for 1.3 s"
    )
    assert len(node.commands) == 1


NOISE = (
    "printf 'Welcome to \\033[1;32mkeystone-1\\033[0m \\377\\n13.0.4 9 9\\nno newline'\n"
    "echo 'bash: warning: setlocale: LC_ALL: cannot change locale' >&2\n"
)


@pytest.fixture
def noisy(node: LocalNode) -> LocalNode:
    node.shell = str(node.home / "login")
    Path(node.shell).write_text(f'#!/bin/bash\n{NOISE}exec bash "$@"\n')
    Path(node.shell).chmod(0o755)
    return node


@pytest.mark.parametrize("step", [Step.STAGE, Step.REPORT_RELEASE])
def test_what_a_login_prints_is_nothing_of_a_step(noisy: LocalNode, step: Step) -> None:
    coloured = {step.value: "printf '\\033[1m12.0.3\\033[0m 1 2\\n'"}
    assert machine(noisy, coloured).run(step, "13.0.4") == "12.0.3 1 2\n"


def test_what_a_login_prints_is_no_lacking_privilege(noisy: LocalNode) -> None:
    lacking = machine(noisy, {}).missing_privileges()
    assert [line for line in lacking if not line.startswith("/")] == []


def test_what_a_login_prints_hides_no_lock(noisy: LocalNode) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(machine(noisy, {"install": HELD}).run, Step.INSTALL, "13.0.4")
        wait_until(noisy.wrote("begin"))
        text = failure(noisy, Step.STOP, {"stop": "echo stop >>log"}, seconds=1)
        (noisy.home / "go").touch()
    assert "step stop was not started: ~/keystone-rollout/lock was not free within 1 s" in text


def test_lacking_privileges_are_asked_for_on_the_node(node: LocalNode) -> None:
    node.shell = str(node.home / "login")
    Path(node.shell).write_text(
        '#!/bin/bash\nsudo() { case "$*" in *dpkg*) return 1 ;; esac; }\nexport -f sudo\n'
        'export SHELL=/bin/bash; eval "$2"\n'
    )
    Path(node.shell).chmod(0o755)
    asked = machine(node, {})
    assert asked.missing_privileges() == ["/usr/bin/dpkg --configure -a"]
    assert len(asked.privileges()) == 17


def test_a_configuration_that_cannot_be_sent_is_a_failed_step(node: LocalNode) -> None:
    node.refusals = [EOFError()]
    with pytest.raises(StepFailed) as caught:
        machine(node, {}).send_configuration()
    assert re.fullmatch(
        r"keystone-1: the configuration in \S+/\.lab/etc/13\.0\.4 could not be sent over SSH "
        "connection lab_keystone_1: EOFError",
        str(caught.value),
    )


def test_a_start_is_noted_on_the_node_and_shown_with_the_next_report(tmp_path: Path) -> None:
    node = LocalNode(tmp_path)
    line = "13.0.4 100.7 150 boot.5 160"
    override = {
        "start": "touch runs",
        "report_release": f'test -e runs && echo "{line}" || echo "13.0.4 100.7 stopped"',
    }
    played = machine(node, override)
    assert played.run(Step.REPORT_RELEASE, "13.0.4") == "13.0.4 100.7 stopped\n"
    played.run(Step.START, "13.0.4")
    assert played.run(Step.REPORT_RELEASE, "13.0.4") == f"{line}\n{line}\n"
