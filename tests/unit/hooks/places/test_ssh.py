"""OpenSSH's own server, directly and through a bastion: keys are checked, noise is not read."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import paramiko
import psutil
import pytest

from keystone_rollout.domain.cloud.model import Limits
from keystone_rollout.domain.places.place import Finished, Incomplete, SessionDropped, TimedOut
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.haproxy.api import HaproxyError, RuntimeApi, SocketDoor
from keystone_rollout.hooks.node.machine import NodeMachine, StepFailed
from keystone_rollout.hooks.places import shell as shell_place
from keystone_rollout.hooks.places import ssh
from keystone_rollout.hooks.places.ssh import SshConnection, SshPlace
from tests.process_end import wait_gone
from tests.real_sshd import Sshd, needs_sshd, running
from tests.stand_ins.in_memory_haproxy import Balancer, in_memory_haproxy
from tests.stand_ins.local_node import wait_until
from tests.stand_ins.silent_server import full_server, swallowing_server

pytestmark = needs_sshd

NOISE = (
    "printf 'Welcome to \\033[1;32mkeystone-1\\033[0m \\377\\376\\n13.0.4 9 9\\nno newline'\n"
    'echo "$SSH_ORIGINAL_COMMAND"\n'
    "printf 'bash: warning: setlocale: LC_ALL: cannot change locale (de_DE)\\n\\377\\n' >&2\n"
)
SUDO = """#!/bin/sh
printf '%s\\n' "$*" >>sudo.log
shift
exec "$@"
"""

Connect = Callable[..., SshPlace]


@pytest.fixture
def node(tmp_path: Path) -> Sshd:
    folder = tmp_path / "node"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "sudo").write_text(SUDO)
    (folder / "bin" / "sudo").chmod(0o755)
    made = Sshd(folder, greeting=NOISE)
    made.make_keys()
    return made


@pytest.fixture
def bastion(tmp_path: Path, node: Sshd) -> Sshd:
    """Make one that lets nothing be done but to go on to the node."""
    (tmp_path / "bastion").mkdir()
    made = Sshd(
        tmp_path / "bastion",
        greeting="exit 1",
        settings=(f"PermitOpen 127.0.0.1:{node.port}", "AllowTcpForwarding local"),
    )
    made.make_keys()
    return made


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, node: Sshd, bastion: Sshd) -> Connect:
    """Return what connects to the node, by the connection's extra."""
    monkeypatch.setenv("AIRFLOW_CONN_A_BASTION", bastion.connection())

    def connected(**extra: object) -> SshPlace:
        monkeypatch.setenv("AIRFLOW_CONN_A_NODE", node.connection(**extra))
        hook = SshConnection("a_node")
        for each in (hook, hook.bastion):
            if each is not None:
                each.conn_retry_attempts = 1
        return SshPlace(hook)

    return connected


@pytest.fixture(params=[False, True], ids=["directly", "through a bastion"])
def place(
    request: pytest.FixtureRequest, node: Sshd, bastion: Sshd, connect: Connect
) -> Iterator[SshPlace]:
    with running(node):
        if not request.param:
            yield connect()
        else:
            with running(bastion):
                yield connect(bastion="a_bastion")


def test_noise_of_a_login_changes_nothing_that_is_read(place: SshPlace) -> None:
    done = place.run("printf '\\033[1m13.0.4\\033[0m 1 \\377'; echo why >&2; exit 3", limit=20)
    assert (done.status, done.output) == (3, "13.0.4 1 \ufffd")
    assert done.errors.endswith("why\n")


def test_input_goes_in_and_bytes_go_through(place: SshPlace) -> None:
    raw = bytes(range(256)) * 3000
    assert place.run("wc -c", input=raw, limit=20).output == "768000\n"
    output = io.BytesIO()
    assert place.pipe("cat", input=io.BytesIO(raw), output=output, limit=20).status == 0
    assert output.getvalue() == raw


def test_what_hangs_is_ended_on_the_node_with_its_group(place: SshPlace, node: Sshd) -> None:
    hangs = "(trap '' TERM; echo $BASHPID >pid; while :; do sleep 1; done) & echo begun; wait"
    began = time.monotonic()
    with pytest.raises(TimedOut) as caught:
        place.run(hangs, limit=1)
    assert caught.value.finished.output == "begun\n"
    assert time.monotonic() - began < 15
    wait_gone(int((node.folder / "pid").read_text()))


def test_its_limit_is_kept_although_nobody_listens(place: SshPlace, node: Sshd) -> None:
    with pytest.raises(SessionDropped):
        place.run("echo $$ >pid; sleep 60", limit=3, meanwhile=dropping(node))
    wait_gone(int((node.folder / "pid").read_text()))


def dropping(node: Sshd) -> Callable[[], None]:
    """Return what drops the node's sessions once a script has written its pid."""

    def drop() -> None:
        file = node.folder / "pid"
        if file.exists() and file.read_text():
            node.drop_sessions()

    return drop


def test_a_dropped_session_is_no_failed_command_and_leaves_it_running(
    place: SshPlace, node: Sshd
) -> None:
    with pytest.raises(SessionDropped, match="the session dropped"):
        place.run("echo $$ >pid; sleep 1; touch end", limit=20, meanwhile=dropping(node))
    wait_until((node.folder / "end").exists)
    assert place.run("exit 255", limit=20).status == 255


def test_the_next_session_is_a_new_one(place: SshPlace) -> None:
    for number in range(3):
        assert place.run(f"echo {number}", limit=20).output == f"{number}\n"


def test_sessions_side_by_side_do_not_end_each_other(place: SshPlace, node: Sshd) -> None:
    found: list[str] = []
    slow = threading.Thread(
        target=lambda: found.append(
            place.run("touch on; until test -e go; do sleep .05; done; echo slow", limit=20).output
        )
    )
    slow.start()
    wait_until((node.folder / "on").exists)
    assert place.run("echo fast", limit=20).output == "fast\n"
    (node.folder / "go").touch()
    slow.join()
    assert found == ["slow\n"]


def test_haproxys_socket_is_reached_as_root(place: SshPlace, node: Sshd) -> None:
    path = node.folder / "haproxy.sock"
    with in_memory_haproxy(Balancer(), path):
        api = RuntimeApi("of the node", SocketDoor(place, str(path)), "keystone")
        assert api.level() == "admin"
        api.set_state("keystone-2", "drain")
        assert api.server("keystone-2").sessions == 0
    sudo = set((node.folder / "sudo.log").read_text().splitlines())
    assert sudo == {f"-n socat -t 30 - UNIX-CONNECT:{path}"}
    with pytest.raises(HaproxyError) as caught:
        api.level()
    assert str(caught.value).startswith(
        f"HAProxy runtime API of the node ({path}, SSH connection a_node) does not answer "
        "'show cli level': it ended with exit status 1: "
    )
    assert "Connection refused" in str(caught.value)


@contextmanager
def slow_answer(path: Path, seconds: float) -> Iterator[None]:
    """Answer once, long after the question has ended."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            with listener.accept()[0] as stream:
                while stream.recv(100):
                    pass
                time.sleep(seconds)
                stream.sendall(b"late")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield
        thread.join()


def test_an_answer_may_come_long_after_the_question(node: Sshd, connect: Connect) -> None:
    path = node.folder / "slow.sock"
    with (
        running(node),
        slow_answer(path, 1.5),
        closing(connect().socket(str(path), 5)) as stream,
    ):
        stream.sendall(b"question")
        stream.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: stream.recv(100), b"")) == b"late"


def test_a_socket_on_a_host_that_is_away_is_an_oserror(connect: Connect) -> None:
    with pytest.raises(OSError, match="SSH connection a_node: "):
        connect().socket("/run/haproxy.sock", 1)


def test_another_host_key_is_refused(node: Sshd, bastion: Sshd, connect: Connect) -> None:
    other = " ".join((bastion.folder / "host.pub").read_text().split()[:2])
    with running(node), pytest.raises(Exception, match="does not match"):
        connect(host_key=other).run("touch done", limit=20)
    assert not (node.folder / "done").exists()


def test_another_host_key_of_the_bastion_is_refused(
    node: Sshd, bastion: Sshd, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = " ".join((node.folder / "host.pub").read_text().split()[:2])
    monkeypatch.setenv("AIRFLOW_CONN_A_BASTION", bastion.connection(host_key=other))
    with running(node), running(bastion), pytest.raises(Exception, match="does not match"):
        connect(bastion="a_bastion").run("touch done", limit=20)
    assert not (node.folder / "done").exists()


def test_without_its_bastion_a_node_is_not_reached(node: Sshd, connect: Connect) -> None:
    with running(node), pytest.raises(OSError, match=r"Unable to connect|Connection refused"):
        connect(bastion="a_bastion").run("true", limit=20)


def test_a_bastion_that_does_not_lead_to_the_node_is_named(
    node: Sshd, bastion: Sshd, connect: Connect
) -> None:
    bastion.settings = ("PermitOpen none",)
    refused = pytest.raises(Exception, match=r"bastion a_bastion does not reach 127\.0\.0\.1:")
    with running(node), running(bastion), refused:
        connect(bastion="a_bastion").run("true", limit=20)


def test_bastions_in_a_circle_are_refused(
    bastion: Sshd, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_A_BASTION", bastion.connection(bastion="a_node"))
    with pytest.raises(ValueError, match="a_node → a_bastion → a_node are a circle"):
        connect(bastion="a_bastion")


SHORT = Limits(connect_seconds=1, answer_seconds=1)


@pytest.mark.parametrize("silent", [swallowing_server, full_server])
def test_a_host_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch, silent: Callable[[], AbstractContextManager[int]]
) -> None:
    with silent() as port:
        monkeypatch.setenv("AIRFLOW_CONN_A_NODE", f"ssh://nobody@127.0.0.1:{port}")
        hook = SshConnection("a_node", limits=SHORT)
        hook.conn_retry_attempts = 1
        began = time.monotonic()
        with pytest.raises(OSError, match="did not open a session in time") as caught:
            SshPlace(hook).run("true", limit=20)
    assert time.monotonic() - began < 20
    assert str(caught.value).startswith(f"127.0.0.1:{port} did not open")
    assert "limits 1 s to connect (limits.connect_seconds), then 1 s" in str(caught.value)


@pytest.fixture
def stopped(
    monkeypatch: pytest.MonkeyPatch, node: Sshd, connect: Connect
) -> Iterator[SshConnection]:
    """Return a connection whose other side stops as soon as the login is done."""
    connect()
    hook = SshConnection("a_node", limits=SHORT)
    asleep: list[psutil.Process] = []
    connected = hook.get_conn

    def get_conn() -> paramiko.SSHClient:
        client = connected()
        assert node.process is not None
        asleep.extend(psutil.Process(node.process.pid).children(recursive=True))
        for each in asleep:
            each.suspend()
        return client

    monkeypatch.setattr(hook, "get_conn", get_conn)
    with running(node):
        yield hook
        for each in asleep:
            with suppress(psutil.NoSuchProcess):  # an ended connection takes its process along
                each.resume()


def test_a_host_that_falls_silent_before_the_command_starts_is_given_up(
    stopped: SshConnection,
) -> None:
    began = time.monotonic()
    with pytest.raises(SessionDropped, match=r"no answer for 1 s, .*\(limits.answer_seconds\)"):
        SshPlace(stopped).run("true", limit=20)
    assert time.monotonic() - began < 10


def test_so_is_one_to_which_files_are_sent(stopped: SshConnection) -> None:
    cloud = load_cloud("lab")
    limits = cloud.limits.node.model_copy(update={"command_seconds": 1})
    limits = cloud.limits.model_copy(update={"node": limits})
    machine = NodeMachine(cloud.model_copy(update={"limits": limits}), cloud.nodes[0], stopped)
    assert cloud.node_steps.configuration is not None
    with pytest.raises(StepFailed, match=r"no answer for 1 s, .*limits.node.command_seconds"):
        machine.send_configuration()


def sessions() -> list[threading.Thread]:
    """Return the threads of paramiko's connections, each of which has one."""
    return [each for each in threading.enumerate() if "paramiko" in type(each).__module__]


def test_no_connection_to_a_bastion_is_left(node: Sshd, bastion: Sshd, connect: Connect) -> None:
    during: list[int] = []
    with running(node), running(bastion):
        place = connect(bastion="a_bastion")
        for _ in range(2):
            place.run("true", limit=20, meanwhile=lambda: during.append(len(sessions())))
        wait_until(lambda: not sessions())
    assert max(during) == 2


def test_a_command_that_the_account_is_forced_to_is_no_success(
    node: Sshd, connect: Connect
) -> None:
    node.greeting = "echo 'this account only greets'; exit 0"
    with running(node), pytest.raises(Incomplete, match="its marks are missing"):
        connect().run("echo 13.0.4", limit=20)


def test_a_login_that_refuses_is_quoted(node: Sshd, connect: Connect) -> None:
    node.greeting = "echo 'This account is not available.'; exit 1"
    with running(node):
        assert connect().run("true", limit=20) == Finished(
            1, "", "This account is not available.\n"
        )


def test_a_host_that_comes_back_is_waited_for(
    node: Sshd, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "RECONNECT_PAUSE_SECONDS", 0.1)
    place = connect()
    with pytest.raises(OSError, match="Unable to connect"):
        place.run("true", limit=20)
    found: list[str] = []
    waiting = threading.Thread(
        target=lambda: found.append(place.run("echo up", limit=20, connect_seconds=15).output)
    )
    waiting.start()
    time.sleep(0.5)
    with running(node):
        waiting.join()
    assert found == ["up\n"]


def test_a_proxy_command_of_the_accounts_own_setting_works_more_than_once(
    node: Sshd, connect: Connect
) -> None:
    """The provider starts it once for all connections of a hook."""
    place = connect()
    relay = f"socat - TCP:127.0.0.1:{node.port}"
    place.hook.host_proxy_cmd = relay
    with running(node):
        for number in range(2):
            assert place.run(f"echo {number}", limit=20).output == f"{number}\n"


def test_what_never_answers_is_given_up(
    node: Sshd, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_place.ShellPlace, "late_seconds", 0.5)
    node.greeting = "exec sleep 20"
    with running(node), pytest.raises(Exception, match=r"it had not ended within 1\.5 s"):
        connect().run("true", limit=1)
