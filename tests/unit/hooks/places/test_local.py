"""This machine: scripts run to their end, or are ended with all that they started."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from keystone_rollout.domain.places.place import Finished, TimedOut
from keystone_rollout.domain.places.script import relay
from keystone_rollout.hooks.places import local
from keystone_rollout.hooks.places.local import LocalPlace, LocalSession
from keystone_rollout.hooks.places.relayed_stream import RelayedStream
from keystone_rollout.hooks.places.shell import ShellPlace
from tests.process_end import gone, wait_gone
from tests.stand_ins.in_memory_haproxy import Balancer, in_memory_haproxy

ALL_BYTES = bytes(range(256)) * 3000

HANGS = "(trap '' TERM; echo $BASHPID >pid; while :; do sleep 1; done) & echo begun; wait"
"""A script whose grandchild does not hear SIGTERM."""


@pytest.fixture
def place(tmp_path: Path) -> ShellPlace:
    return LocalPlace(tmp_path)


def test_a_script_has_its_input_and_gives_status_output_and_errors(place: ShellPlace) -> None:
    done = place.run("cat; pwd; echo why >&2; exit 3", input=b"in\n", limit=10)
    assert done == Finished(3, f"in\n{place.folder}\n", "why\n")  # type: ignore[attr-defined]


def test_input_may_be_a_stream_and_need_not_be_read(place: ShellPlace) -> None:
    assert place.run("wc -c", input=io.BytesIO(ALL_BYTES), limit=10).output == "768000\n"
    assert place.run("true", input=io.BytesIO(ALL_BYTES), limit=10).status == 0


def test_input_that_breaks_off_does_not_pass_for_all_of_it(
    place: ShellPlace, tmp_path: Path
) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError("Input/output error")
            return super().read(4)

    with pytest.raises(OSError, match="Input/output error"):
        place.run("cat >got; touch whole", input=Broken(b"half of it"), limit=10)
    assert not (tmp_path / "whole").exists()


def test_colours_and_bytes_that_are_no_text_are_read(place: ShellPlace) -> None:
    script = "printf '\\033[32mok\\033[0m \\377\\n'; printf '\\377\\033[1m' >&2"
    assert place.run(script, limit=10) == Finished(0, "ok \ufffd\n", "\ufffd")


def test_each_line_is_told_at_once_and_no_mark_is(place: ShellPlace) -> None:
    told: list[tuple[str, float]] = []
    place.run(
        "echo one; sleep 1; echo two >&2; printf three",
        limit=10,
        tell=lambda line: told.append((line, time.monotonic())),
    )
    assert [line for line, _ in told] == ["one", "two", "three"]
    assert told[1][1] - told[0][1] > 0.5


def test_what_hangs_is_ended_with_its_group(place: ShellPlace, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(TimedOut) as caught:
        place.run(HANGS, limit=1)
    assert str(caught.value) == "it had not ended within 1 s, and was ended"
    assert caught.value.finished.output == "begun\n"
    assert time.monotonic() - began < 8
    wait_gone(int((tmp_path / "pid").read_text()))


def test_what_does_not_hear_sigterm_is_killed(
    place: ShellPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "END_SECONDS", 0.3)
    with pytest.raises(TimedOut):
        place.run("trap '' TERM; echo $$ >pid; while :; do sleep 1; done", limit=0.5)
    wait_gone(int((tmp_path / "pid").read_text()))


def test_what_a_script_leaves_behind_ends_with_it(place: ShellPlace, tmp_path: Path) -> None:
    place.run("sleep 60 & echo $! >pid", limit=20)
    wait_gone(int((tmp_path / "pid").read_text()))


def test_what_has_left_the_group_is_not_waited_for(place: ShellPlace, tmp_path: Path) -> None:
    """It keeps both streams open: a service that a script starts does so."""
    began = time.monotonic()
    done = place.run("setsid bash -c 'echo $$ >pid; exec sleep 30' & sleep 0.3; echo a", limit=20)
    assert done.output == "a\n"
    assert time.monotonic() - began < 10
    pid = int((tmp_path / "pid").read_text())
    assert not gone(pid)
    os.kill(pid, 9)


def test_what_is_called_meanwhile_can_end_it(place: ShellPlace, tmp_path: Path) -> None:
    def stop() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.run(HANGS, limit=20, meanwhile=stop)
    wait_gone(int((tmp_path / "pid").read_text()))


def test_bytes_go_through_a_pipe_unread(place: ShellPlace) -> None:
    output = io.BytesIO()
    done = place.pipe(
        "cat; echo no >&2; exit 4", input=io.BytesIO(ALL_BYTES), output=output, limit=9
    )
    assert done == Finished(4, "", "no\n")
    assert output.getvalue() == ALL_BYTES


def test_a_pipe_has_a_limit_too(place: ShellPlace) -> None:
    with pytest.raises(TimedOut):
        place.pipe("sleep 30", limit=0.5)


def test_a_stream_that_takes_nothing_more_fails_the_pipe(place: ShellPlace) -> None:
    class Full(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        place.pipe("echo a", output=Full(), limit=5)


def asked(place: ShellPlace, path: Path, question: bytes) -> bytes:
    with closing(place.socket(str(path), 5)) as stream:
        stream.sendall(question)
        return b"".join(iter(lambda: stream.recv(100), b""))


def test_a_unix_socket_is_reached(place: ShellPlace, tmp_path: Path) -> None:
    with in_memory_haproxy(Balancer(), tmp_path / "socket"):
        assert asked(place, tmp_path / "socket", b"show cli level\n") == b"admin\n\n"
    with pytest.raises(OSError, match="Connection refused"):
        place.socket(str(tmp_path / "socket"), 5)


@pytest.fixture
def relayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], RelayedStream]:
    """Reach sockets with the program for places without socat."""
    (tmp_path / "bin").mkdir()
    for name in ("bash", "python3"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    place = LocalPlace()

    def connect(path: str) -> RelayedStream:
        script = f"echo noise\nprintf '\\n%s%s\\n' token -begins\n{relay(path)}"
        return RelayedStream(place.open(script, 20), "token", 5)

    return connect


def test_a_socket_is_reached_by_python_where_socat_is_missing(
    tmp_path: Path, relayed: Callable[[str], RelayedStream]
) -> None:
    with in_memory_haproxy(Balancer(), tmp_path / "socket"):
        stream = relayed(str(tmp_path / "socket"))
        with stream:
            stream.sendall(b"show cli level\n")
            assert b"".join(iter(lambda: stream.recv(3), b"")) == b"admin\n\n"
    with relayed(str(tmp_path / "none")) as stream, pytest.raises(OSError, match="No such file"):
        stream.recv(10)


def test_a_session_whose_answer_does_not_come_times_out() -> None:
    session = LocalSession(["bash", "-c", "sleep 20"])
    session.settimeout(0.2)
    with pytest.raises(TimeoutError, match="timed out"):
        session.recv(1)
    session.close()
    assert session.recv_exit_status() == 128 + 15


def test_a_place_may_be_used_by_several_threads(place: ShellPlace) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(place.run(f"echo {n}", limit=9).output))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [f"{n}\n" for n in range(6)]
