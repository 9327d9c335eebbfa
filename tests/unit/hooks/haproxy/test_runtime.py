"""HAProxy's servers are read, set and waited for over a real socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.server import ServerState
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.haproxy.api import (
    HaproxyError,
    RuntimeApi,
    SocketDoor,
    TcpDoor,
    administrative_state,
)
from keystone_rollout.hooks.haproxy.runtime import HaproxyRuntimeHook, balancers
from keystone_rollout.hooks.haproxy.servers import Servers
from keystone_rollout.hooks.places.local import LocalPlace
from tests.stand_ins.in_memory_haproxy import Balancer, Server, in_memory_haproxy
from tests.stand_ins.set_clock import SetClock
from tests.stand_ins.silent_server import full_server, swallowing_server


def connect(monkeypatch: pytest.MonkeyPatch, port: int, name: str = "test_haproxy") -> None:
    uri = f"generic://127.0.0.1:{port}"
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", uri)


@pytest.fixture
def balancer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Balancer]:
    with in_memory_haproxy(Balancer()) as running:
        connect(monkeypatch, running.port)
        connect(monkeypatch, running.port, "lab_haproxy")
        yield running


@pytest.fixture
def hook(balancer: Balancer) -> HaproxyRuntimeHook:
    return HaproxyRuntimeHook("test_haproxy", "keystone")


def error_of(action: object, *arguments: object) -> str:
    assert callable(action)
    with pytest.raises(HaproxyError) as caught:
        action(*arguments)
    return str(caught.value)


def test_servers_are_read_with_both_states_and_their_sessions(
    balancer: Balancer, hook: HaproxyRuntimeHook
) -> None:
    balancer.servers["keystone-2"] = Server(admin=0x08, sessions=3)
    balancer.servers["keystone-3"] = Server(alive=False)
    assert hook.servers() == {
        "keystone-1": ServerState("keystone-1", "UP", "ready", 0),
        "keystone-2": ServerState("keystone-2", "DRAIN", "drain", 3),
        "keystone-3": ServerState("keystone-3", "DOWN", "ready", 0),
    }
    assert [state.serving for state in hook.servers().values()] == [True, False, False]
    assert str(hook.server("keystone-2")) == "keystone-2 drain/DRAIN, 3 sessions"


@pytest.mark.parametrize("state", ["drain", "maint", "ready"])
def test_a_state_is_set_and_read_back(
    balancer: Balancer, hook: HaproxyRuntimeHook, state: str
) -> None:
    hook.set_state("keystone-1", state)
    assert f"set server keystone/keystone-1 state {state}" in balancer.commands
    assert hook.server("keystone-1").administrative == state


def test_an_acknowledgement_alone_is_not_believed(
    balancer: Balancer, hook: HaproxyRuntimeHook
) -> None:
    balancer.deaf = True
    assert error_of(hook.set_state, "keystone-1", "drain") == (
        "HAProxy test_haproxy: keystone-1 is ready, asked: drain"
    )


def test_a_socket_without_the_right_is_refused(
    balancer: Balancer, hook: HaproxyRuntimeHook
) -> None:
    assert hook.level() == "admin"
    balancer.level = "operator"
    assert hook.level() == "operator"
    assert error_of(hook.set_state, "keystone-1", "drain") == (
        "HAProxy test_haproxy refused keystone-1 drain: Permission denied"
    )


def test_an_unknown_server_is_named_with_the_known_ones(hook: HaproxyRuntimeHook) -> None:
    assert error_of(hook.server, "keystone-9") == (
        "HAProxy test_haproxy knows no server 'keystone-9' in backend 'keystone'; it has "
        "keystone-1, keystone-2, keystone-3"
    )
    assert error_of(hook.set_state, "keystone-9", "drain") == (
        "HAProxy test_haproxy refused keystone-9 drain: No such server."
    )


def test_an_unknown_backend_is_named_with_haproxys_answer(balancer: Balancer) -> None:
    hook = HaproxyRuntimeHook("test_haproxy", "keystoen")
    assert error_of(hook.servers) == (
        "HAProxy test_haproxy knows no backend 'keystoen' with servers: \"Can't find backend.\". "
        "Next: name one that `show stat` lists"
    )


def test_an_unreachable_haproxy_is_named_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    connect(monkeypatch, port)
    message = error_of(HaproxyRuntimeHook("test_haproxy", "keystone").servers)
    assert message.startswith(
        f"HAProxy runtime API test_haproxy (127.0.0.1:{port}) does not answer "
        "'show servers state keystone': "
    )
    assert "Connection refused" in message
    assert message.endswith("Next: check `stats socket` and that it can be reached")


def test_a_unix_socket_at_a_place_is_a_door_as_well(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.sock"
    api = RuntimeApi("of the test", SocketDoor(LocalPlace(), str(path), 0.3), "keystone")
    with in_memory_haproxy(Balancer(), path) as running:
        api.set_state("keystone-2", "drain")
        assert running.servers["keystone-2"].admin == 0x08
        assert api.server("keystone-2").administrative == "drain"
        assert api.level() == "admin"
    assert error_of(api.level) == (
        f"HAProxy runtime API of the test ({path}, this machine) does not answer 'show cli level': "
        "[Errno 111] Connection refused. Next: check `stats socket` and that it can be reached"
    )
    path.unlink()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        assert "timed out" in error_of(api.level)


def test_an_answer_that_is_no_text_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as stream:
                stream.recv(100)
                stream.sendall(b"a\xff\n")

        threading.Thread(target=answer, daemon=True).start()
        api = RuntimeApi("odd", TcpDoor(lambda: server.getsockname()), "keystone")
        assert api.command("show info") == "a\ufffd\n"


def test_a_haproxy_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connect(monkeypatch, silent.getsockname()[1])
        hook = HaproxyRuntimeHook("test_haproxy", "keystone", timeout=0.2)
        assert "timed out, limit 0.2 s (limits.connect_seconds). Next: " in error_of(hook.level)


@pytest.mark.parametrize("serve", [swallowing_server, full_server])
def test_the_limit_is_the_cloud_files(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[], AbstractContextManager[int]]
) -> None:
    cloud = load_cloud("lab")
    limits = cloud.limits.model_copy(update={"connect_seconds": 1})
    cloud = cloud.model_copy(update={"limits": limits})
    with serve() as port:
        address = {"conn_type": "generic", "host": "127.0.0.1", "port": port}
        name = f"AIRFLOW_CONN_{cloud.load_balancers[0].connection.upper()}"
        monkeypatch.setenv(name, json.dumps(address))
        (hook,) = balancers(cloud).values()
        assert "timed out, limit 1 s (limits.connect_seconds). Next: " in error_of(hook.level)


def test_waiting_ends_when_the_state_is_reached(
    balancer: Balancer, hook: HaproxyRuntimeHook
) -> None:
    balancer.servers["keystone-1"].sessions = 2
    timer = threading.Timer(0.3, lambda: setattr(balancer.servers["keystone-1"], "sessions", 0))
    timer.start()
    hook.wait("keystone-1", "0 sessions", lambda state: state.sessions == 0, 5)
    timer.join()


def test_waiting_in_vain_says_what_was_measured(
    balancer: Balancer, hook: HaproxyRuntimeHook
) -> None:
    balancer.servers["keystone-1"].sessions = 3
    message = error_of(
        hook.wait, "keystone-1", "0 sessions", lambda state: state.sessions == 0, 0.1
    )
    assert message == (
        "keystone-1 on test_haproxy: 0 sessions not reached after 0.1 s, measured keystone-1 "
        "ready/UP, 3 sessions"
    )


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        (0x00, "ready"), (0x01, "maint"), (0x02, "maint"), (0x20, "maint"), (0x05, "maint"),
        (0x08, "drain"), (0x10, "drain"), (0x09, "maint"),
    ],
)  # fmt: skip
def test_the_administrative_bit_field_is_read(flags: int, state: str) -> None:
    assert administrative_state(flags) == state


def rotation(min_ready_servers: int = 2) -> Servers:
    cloud = load_cloud("lab")
    node = cloud.limits.node.model_copy(
        update={
            "min_ready_servers": min_ready_servers,
            "drain_seconds": 0.1,
            "up_seconds": 0.1,
            "stable_seconds": 0.1,
        }
    )
    limits = cloud.limits.model_copy(update={"node": node})
    made: Cloud = cloud.model_copy(update={"limits": limits})
    return Servers(made)


def test_a_server_leaves_and_returns(balancer: Balancer) -> None:
    server = rotation()
    server.check_capacity("keystone-2")
    assert server.is_serving("keystone-2")
    server.drain("keystone-2")
    server.wait_no_sessions("keystone-2")
    server.maint("keystone-2")
    assert not server.is_serving("keystone-2")
    server.ready("keystone-2")
    server.wait_up("keystone-2")
    assert server.is_serving("keystone-2")


def test_no_server_is_drained_while_another_one_is_out(balancer: Balancer) -> None:
    balancer.servers["keystone-3"].admin = 0x01
    assert error_of(rotation().check_capacity, "keystone-2") == (
        "keystone-2 is not taken out, capacity would be too small on lab_haproxy: measured 1 other "
        "servers ready and UP, limit all 2 and at least 2. Not serving: keystone-3 maint/MAINT, "
        "0 sessions. Next: return them first"
    )


def test_a_server_that_is_out_itself_does_not_count(balancer: Balancer) -> None:
    balancer.servers["keystone-2"].admin = 0x01
    rotation().check_capacity("keystone-2")


def test_limits_are_measured_and_waited_for_with_the_clock_that_was_handed_in(
    balancer: Balancer,
) -> None:
    clock, cloud = SetClock(), load_cloud("lab")
    limits = cloud.limits.node
    servers = Servers(cloud, clock)
    servers.wait_stable(["keystone-1"])
    assert clock.elapsed() == pytest.approx(limits.stable_seconds, abs=0.3)
    balancer.servers["keystone-2"].sessions = 1
    before = clock.elapsed()
    assert "0 sessions not reached" in error_of(servers.wait_no_sessions, "keystone-2")
    assert clock.elapsed() - before == pytest.approx(limits.drain_seconds, abs=0.5)


def test_a_server_that_does_not_come_up_is_reported(balancer: Balancer) -> None:
    balancer.servers["keystone-2"].alive = False
    assert error_of(rotation().wait_up, "keystone-2") == (
        "keystone-2 on lab_haproxy: ready and UP not reached after 0.1 s, measured keystone-2 "
        "ready/DOWN, 0 sessions"
    )
