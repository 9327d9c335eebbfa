"""What a person or a restart has changed on a load balancer is found at the next look."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from keystone_rollout.domain.node.cycle import SetByHand
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.haproxy.api import HaproxyError
from keystone_rollout.hooks.haproxy.runtime import HaproxyRuntimeHook
from keystone_rollout.hooks.haproxy.servers import Servers
from tests.stand_ins.in_memory_haproxy import Balancer, in_memory_haproxy

READY, MAINT, DRAIN, INHERITED = 0x00, 0x01, 0x08, 0x02
SERVER = "keystone-1"


@pytest.fixture
def balancers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Balancer]]:
    """Return two load balancers of the lab's cloud."""
    with in_memory_haproxy(Balancer()) as one, in_memory_haproxy(Balancer()) as two:
        for name, balancer in (("one", one), ("two", two)):
            address = f"generic://127.0.0.1:{balancer.port}"
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", address)
        yield [one, two]


@pytest.fixture
def servers(balancers: list[Balancer]) -> Servers:
    cloud = load_cloud("lab")
    fast = {"drain_seconds": 0.3, "up_seconds": 0.3, "stable_seconds": 0.1}
    limits = cloud.limits.model_copy(update={"node": cloud.limits.node.model_copy(update=fast)})
    made = Servers(cloud.model_copy(update={"limits": limits}))
    made.by_name = {name: HaproxyRuntimeHook(name, "keystone") for name in ("one", "two")}
    return made


def states(balancers: list[Balancer]) -> list[int]:
    return [balancer.servers[SERVER].admin for balancer in balancers]


def by_hand(act: Callable[[str], object]) -> str:
    with pytest.raises(SetByHand) as caught:
        act(SERVER)
    return str(caught.value)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (MAINT, "maint/MAINT on two"),
        (DRAIN, "drain/DRAIN on two"),
        (INHERITED, "maint/MAINT on two"),
    ],
)
def test_a_server_that_is_out_is_told(
    balancers: list[Balancer], servers: Servers, flags: int, words: str
) -> None:
    assert servers.taken_out(SERVER) == ""
    balancers[1].servers[SERVER].admin = flags
    assert servers.taken_out(SERVER) == words


@pytest.mark.parametrize("act", ["drain", "maint"])
def test_nothing_is_said_and_done_as_long_as_nothing_changes(
    balancers: list[Balancer], servers: Servers, act: str
) -> None:
    assert servers.keep_out(SERVER) == [], "nothing was set here"
    getattr(servers, act)(SERVER)
    asked = [len([c for c in each.commands if c.startswith("set")]) for each in balancers]
    assert servers.keep_out(SERVER) == []
    assert asked == [1, 1]


@pytest.mark.parametrize("act", ["drain", "maint"])
@pytest.mark.parametrize("tells_start", [True, False])
def test_a_restart_is_told_and_the_server_is_out_again(
    balancers: list[Balancer], servers: Servers, act: str, tells_start: bool
) -> None:
    balancers[0].tells_start = tells_start
    getattr(servers, act)(SERVER)
    balancers[0].restart()
    assert servers.keep_out(SERVER) == [
        f"HAProxy one was restarted, which made {SERVER} ready; it had been set to {act}. "
        f"It is {act} again"
    ]
    assert states(balancers) == [DRAIN if act == "drain" else MAINT] * 2
    assert servers.keep_out(SERVER) == []


def test_a_new_worker_is_a_restart_as_well(balancers: list[Balancer], servers: Servers) -> None:
    servers.drain(SERVER)
    balancers[1].pid += 1
    balancers[1].servers[SERVER].admin = READY
    assert "HAProxy two was restarted" in servers.keep_out(SERVER)[0]


def test_what_is_stopped_does_not_serve_even_if_a_person_wants_it_to(
    balancers: list[Balancer], servers: Servers
) -> None:
    servers.maint(SERVER)
    balancers[1].servers[SERVER].admin = READY
    assert servers.keep_out(SERVER) == [
        f"{SERVER} was set to ready on two by hand, after it had been set to maint here. It is "
        "maint again"
    ]
    assert states(balancers) == [MAINT, MAINT]
    servers.ready(SERVER)
    assert states(balancers) == [READY, READY]


@pytest.mark.parametrize(("flags", "state"), [(READY, "ready"), (MAINT, "maint")])
def test_a_person_decides_about_a_server_that_only_drains(
    balancers: list[Balancer], servers: Servers, flags: int, state: str
) -> None:
    servers.drain(SERVER)
    balancers[0].servers[SERVER].admin = flags
    words = f"{SERVER} was set to {state} on one by hand, after it had been set to drain here"
    assert by_hand(servers.keep_out) == words
    if flags == MAINT:
        assert by_hand(servers.ready) == words
    else:
        servers.ready(SERVER)
    assert states(balancers) == [flags, READY]


@pytest.mark.parametrize("taken", [True, False])
def test_a_state_whose_answer_was_lost_is_no_persons(
    balancers: list[Balancer], servers: Servers, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    servers.drain(SERVER)
    set_state = HaproxyRuntimeHook.set_state

    def lose_answer(api: HaproxyRuntimeHook, server: str, state: str) -> None:
        if taken:
            set_state(api, server, state)
        raise HaproxyError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(HaproxyRuntimeHook, "set_state", lose_answer)
        with pytest.raises(HaproxyError, match="no answer"):
            servers.maint(SERVER)
    assert states(balancers) == [MAINT if taken else DRAIN, DRAIN]
    servers.ready(SERVER)
    assert states(balancers) == [READY, READY]
    balancers[0].servers[SERVER].admin = MAINT
    assert "was set to maint on one by hand" in by_hand(servers.ready), "its word counts again"


def test_a_server_that_a_person_drains_meanwhile_is_not_set_ready(
    balancers: list[Balancer], servers: Servers
) -> None:
    servers.maint(SERVER)
    balancers[0].servers[SERVER].admin = DRAIN
    assert servers.keep_out(SERVER) == []
    assert by_hand(servers.ready) == (
        f"{SERVER} was set to drain on one by hand, after it had been set to maint here"
    )
    assert states(balancers) == [DRAIN, READY]


@pytest.mark.parametrize("act", ["wait_up", "return_to_rotation"])
def test_a_server_that_is_taken_out_once_it_was_ready_stays_out(
    balancers: list[Balancer], servers: Servers, act: str
) -> None:
    balancers[1].servers[SERVER].alive = False
    servers.ready(SERVER)
    balancers[1].servers[SERVER].admin = MAINT
    assert by_hand(getattr(servers, act)) == (
        f"{SERVER} was set to maint on two by hand, after it had been set to ready here"
    )
    assert states(balancers) == [READY, MAINT]


def test_a_server_that_only_does_not_come_up_was_set_by_nobody(
    balancers: list[Balancer], servers: Servers
) -> None:
    balancers[1].servers[SERVER].alive = False
    servers.ready(SERVER)
    with pytest.raises(HaproxyError, match="ready and UP not reached"):
        servers.wait_up(SERVER)


def test_a_configuration_that_disables_a_server_is_no_persons_decision(
    balancers: list[Balancer], servers: Servers
) -> None:
    servers.maint(SERVER)
    balancers[0].restart()
    balancers[0].servers[SERVER].admin = 0x05
    assert servers.keep_out(SERVER) == []
    servers.drain(SERVER)
    balancers[0].restart()
    balancers[0].servers[SERVER].admin = 0x05
    servers.ready(SERVER)
    assert states(balancers) == [0x04, READY]


def test_haproxy_is_asked_again_while_it_starts(
    balancers: list[Balancer], servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.limits = servers.limits.model_copy(update={"up_seconds": 5.0})
    servers.maint(SERVER)
    hook = servers.by_name["one"]
    asked, failures = hook.servers, [HaproxyError("away")]

    def once_away() -> object:
        if failures:
            balancers[0].restart()
            raise failures.pop()
        return asked()

    monkeypatch.setattr(hook, "servers", once_away)
    assert "was restarted" in servers.keep_out(SERVER)[0]


def test_a_process_that_does_not_say_who_it_is_is_quoted(
    balancers: list[Balancer], servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers.by_name["one"], "command", lambda text: "Name: HAProxy\n")
    with pytest.raises(HaproxyError) as caught:
        servers.by_name["one"].process()
    assert str(caught.value) == ("HAProxy one does not say which process it is: 'Name: HAProxy'")
