"""One node's cycle: the order of its acts, and the way back from each of them."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import Any

import pytest

from keystone_rollout.domain.node.cycle import CycleFailed, NodeCycle, SetByHand, TakenOver
from keystone_rollout.domain.node.steps import Step

SOURCE, TARGET = "12.0.3", "13.0.4"


@dataclass
class Cluster:
    """Play rotation, machine and prover of one node, from memory.

    ``broken`` names acts that fail, each as often as its number says (-1: always).
    """

    installed: str = SOURCE
    running: bool = True
    stale: bool = False
    state: str = "ready"
    report_text: str = ""
    marked: bool = False
    lacks: str = ""
    found: list[list[str]] = field(default_factory=list)
    """What keep_out returns, one after the other."""
    lacking: list[str] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)
    acts: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def act(self, name: str) -> None:
        self.acts.append(name)
        left = self.broken.get(name, 0)
        if left:
            self.broken[name] = left - 1
            raise RuntimeError(f"{name} broke")

    # Rotation
    def check_capacity(self, server: str) -> None:
        self.act("check_capacity")

    def lacking_capacity(self, server: str) -> str:
        self.act("lacking_capacity")
        return self.lacks

    def taken_out(self, server: str) -> str:
        self.act("taken_out")
        return "" if self.state == "ready" else f"{self.state} on haproxy"

    def keep_out(self, server: str) -> list[str]:
        self.act("keep_out")
        return self.found.pop(0) if self.found else []

    def drain(self, server: str) -> None:
        self.act("drain")
        self.state = "drain"

    def wait_no_sessions(self, server: str) -> None:
        self.act("wait_no_sessions")

    def maint(self, server: str) -> None:
        self.act("maint")
        self.state = "maint"

    def ready(self, server: str) -> None:
        self.act("ready")
        self.state = "ready"

    def wait_up(self, server: str) -> None:
        self.act("wait_up")
        assert self.running, "HAProxy cannot see a stopped server UP"

    def is_serving(self, server: str) -> bool:
        return self.state == "ready" and self.running

    # Machine
    def run(self, step: Step, release: str) -> str:
        if step is Step.REPORT_RELEASE:
            self.act("report")
            if self.report_text:
                return self.report_text
            started = "stopped" if not self.running else "50" if self.stale else "150"
            return f"{self.installed} 100 {started}\n"
        self.act(f"{step.value} {release}")
        if step is Step.CHECK_KEPT:
            return "".join(f"{name}\n" for name in self.lacking)
        if step is Step.STOP:
            self.running = False
        if step is Step.INSTALL:
            self.installed = release
        if step is Step.START:
            self.running, self.stale = True, False
        return ""

    # Prover
    def prove(self) -> str:
        self.act("prove")
        return "token issued here, token of another node validated"

    def cycle(self) -> NodeCycle:
        return NodeCycle(
            "keystone-1", "server-1", SOURCE, TARGET, self, self, self,
            lambda state, text: self.notes.append((state, text)), marked=lambda: self.marked,
        )  # fmt: skip

    def failure(self) -> str:
        with pytest.raises(CycleFailed) as caught:
            self.cycle().run()
        return str(caught.value)

    @property
    def states(self) -> list[str]:
        return [state for state, _text in self.notes]


def replaced(release: str) -> list[str]:
    first, *others, last = (
        f"{step} {release}"
        for step in ("stop", "enable_repository", "install", "configure", "start")
    )
    return ["keep_out", first, *others, "keep_out", "lacking_capacity", last]


def changing(release: str) -> list[str]:
    return [act for act in replaced(release) if act.endswith(release)]


KEPT = [f"check_kept {TARGET}", f"check_kept {SOURCE}"]
BEGUN = ["report", *KEPT, "taken_out", "check_capacity"]
OUT = [*BEGUN, "taken_out", "drain", "wait_no_sessions", "keep_out", "maint", "check_capacity"]
IN = ["prove", "report", "ready", "wait_up"]
BACK = [*replaced(SOURCE), *IN]


def test_the_happy_path_has_this_order() -> None:
    cluster = Cluster()
    assert cluster.cycle().run() is True
    assert cluster.acts == [*OUT, *replaced(TARGET), *IN]
    assert cluster.states == [
        "found", "drain", "maint", "stopped", "installed", "started", "proved", "up",
    ]  # fmt: skip
    assert (cluster.installed, cluster.state) == (TARGET, "ready")


def test_a_node_that_is_done_is_proved_and_left_alone() -> None:
    cluster = Cluster(installed=TARGET)
    assert cluster.cycle().run() is False
    assert cluster.acts == ["report", "prove"]
    assert cluster.notes[-1] == (
        "done",
        "already serves 13.0.4; token issued here, token of another node validated",
    )


@pytest.mark.parametrize(
    "half_done",
    [
        {"installed": TARGET, "running": False, "state": "maint"},
        {"installed": TARGET, "stale": True},
        {"installed": TARGET, "state": "drain"},
        {"installed": SOURCE, "running": False, "state": "maint"},
    ],
    ids=["stopped after install", "not restarted", "not set ready", "stopped before install"],
)
def test_a_half_done_node_is_taken_through_the_whole_cycle(half_done: dict[str, object]) -> None:
    cluster = Cluster(marked=True, **half_done)  # type: ignore[arg-type]
    assert cluster.cycle().run() is True
    out = [act for act in OUT if act != "taken_out"]  # the mark tells
    assert cluster.acts == [*out, *replaced(TARGET), *IN]
    assert (cluster.installed, cluster.running, cluster.stale) == (TARGET, True, False)


def test_too_little_capacity_touches_nothing() -> None:
    cluster = Cluster(broken={"check_capacity": 1})
    with pytest.raises(RuntimeError, match="check_capacity broke"):
        cluster.cycle().run()
    assert cluster.acts == BEGUN


def test_a_node_that_could_not_go_back_is_not_stopped() -> None:
    cluster = Cluster(lacking=["/var/cache/apt/archives/keystone.deb"])
    with pytest.raises(RuntimeError) as caught:
        cluster.cycle().run()
    assert str(caught.value) == (
        "keystone-1 lacks /var/cache/apt/archives/keystone.deb, without which it could not be "
        "taken to 13.0.4; limit 0 files missing. Next: put it back (the staging of an upgrade "
        "does), and find out who removed it"
    )
    assert cluster.acts == ["report", KEPT[0]]


@pytest.mark.parametrize("broken", ["drain", "wait_no_sessions", "maint"])
def test_a_node_that_cannot_leave_is_set_ready_again(broken: str) -> None:
    cluster = Cluster(broken={broken: 1})
    assert cluster.failure() == (
        f"{broken} broke. keystone-1 is ready and UP again, nothing was stopped. Clear this task"
    )
    assert cluster.acts[-2:] == ["ready", "wait_up"]
    assert not [act for act in cluster.acts if act.startswith("stop")]
    assert cluster.state == "ready"


def test_a_node_that_can_neither_leave_nor_return_is_said_to_be_out() -> None:
    cluster = Cluster(broken={"wait_no_sessions": 1, "wait_up": 1})
    assert cluster.failure() == (
        "wait_no_sessions broke. keystone-1 was NOT returned to rotation (wait_up broke), "
        "though nothing was stopped. Next: start the upgrade again, which returns it first, or set "
        "server server-1 ready by hand"
    )


def test_a_node_is_put_back_when_another_one_dies_while_it_drains() -> None:
    class LosesAnother(Cluster):
        def wait_no_sessions(self, server: str) -> None:
            super().wait_no_sessions(server)
            self.broken["check_capacity"] = 1

    cluster = LosesAnother()
    assert cluster.failure() == (
        "check_capacity broke. keystone-1 is ready and UP again, nothing was stopped. Clear this "
        "task"
    )
    assert cluster.acts == [*OUT, "ready", "wait_up"]


class Interrupted(Cluster):
    """Be interrupted, as by Ctrl-C, once at an act."""

    at = ""

    def act(self, name: str) -> None:
        super().act(name)
        if name == self.at:
            self.at = ""
            raise KeyboardInterrupt


def test_an_interrupt_leaves_the_node_in_rotation() -> None:
    cluster = Interrupted()
    cluster.at = "drain"
    assert cluster.failure() == (
        "KeyboardInterrupt. keystone-1 is ready and UP again, nothing was stopped. Clear this task"
    )
    cluster = Interrupted()
    cluster.at = "install 13.0.4"
    assert (
        "KeyboardInterrupt. keystone-1 is rolled back to 12.0.3, ready and UP" in cluster.failure()
    )
    assert (cluster.installed, cluster.running, cluster.state) == (SOURCE, True, "ready")


@pytest.mark.parametrize("state", ["drain", "maint", "stopped", "installed", "proved"])
def test_a_cycle_that_another_attempt_took_over_acts_no_more(state: str) -> None:
    cluster = Cluster()

    def note(reached: str, text: str) -> None:
        cluster.acts.append(f"note {reached}")
        if reached == state:
            raise TakenOver("attempt 2 works on keystone-1")

    cycle = cluster.cycle()
    cycle.note = note
    with pytest.raises(TakenOver, match="attempt 2 works on keystone-1"):
        cycle.run()
    assert cluster.acts[-1] == f"note {state}"


@pytest.mark.parametrize("release", [SOURCE, TARGET])
def test_a_whole_node_that_was_left_out_is_only_set_ready(release: str) -> None:
    cluster = Cluster(installed=release, state="maint")
    assert cluster.cycle().return_left_out() == (
        f"keystone-1 was whole ({release} running) and is ready and UP again"
    )
    assert cluster.acts == ["report", "prove", "ready", "wait_up"]
    assert cluster.states == ["found", "up"]


@pytest.mark.parametrize(
    "half_done",
    [
        {"installed": TARGET, "running": False},
        {"installed": TARGET, "stale": True},
        {"installed": SOURCE, "running": False},
        {"installed": TARGET, "broken": {"prove": 1}},
        {"installed": TARGET, "broken": {"report": 1}},
    ],
    ids=["stopped on target", "not restarted", "stopped on source", "no proof", "no report"],
)
def test_a_half_done_node_that_was_left_out_goes_back(half_done: dict[str, Any]) -> None:
    cluster = Cluster(state="maint", **half_done)
    assert cluster.cycle().return_left_out() == "keystone-1 is rolled back to 12.0.3, ready and UP"
    assert cluster.acts[-len(BACK) :] == BACK
    assert (cluster.installed, cluster.running, cluster.state) == (SOURCE, True, "ready")


def test_a_node_that_cannot_be_brought_back_is_said_to_be_out() -> None:
    cluster = Cluster(state="maint", running=False, broken={"install 12.0.3": -1})
    with pytest.raises(CycleFailed) as caught:
        cluster.cycle().return_left_out()
    assert str(caught.value) == (
        "keystone-1, which an interrupted run took out of rotation, cannot be rolled back to "
        "12.0.3: install 12.0.3 broke. It stays OUT of rotation; the others serve. Next: repair "
        "it (is the machine up?), then start the run again"
    )
    assert cluster.state == "maint"


@pytest.mark.parametrize(
    "broken", [*changing(TARGET), "prove", "ready", "wait_up"], ids=lambda act: act.split()[0]
)
def test_each_failing_step_leads_back_to_the_old_release(broken: str) -> None:
    cluster = Cluster(broken={broken: 1})
    message = cluster.failure()
    assert message.startswith(f"keystone-1 could not be taken to 13.0.4: {broken} broke. ")
    assert "keystone-1 is rolled back to 12.0.3, ready and UP" in message
    assert message.endswith("Remove the cause, then clear this task")
    # Once a balancer was asked to send requests again, the server leaves the rotation first.
    back = ["maint", *BACK] if broken in ("ready", "wait_up") else BACK
    assert cluster.acts[-len(back) - 1 :] == [broken, *back]
    assert (cluster.installed, cluster.running, cluster.state) == (SOURCE, True, "ready")
    assert cluster.notes[-1][0] == "up"
    assert ("going back", f"{broken} broke") in cluster.notes


def test_a_service_that_still_runs_the_old_code_leads_back() -> None:
    class Unchanged(Cluster):
        def run(self, step: Step, release: str) -> str:
            if step is Step.INSTALL and release == TARGET:
                self.act("install that changes nothing")
                return ""
            return super().run(step, release)

    cluster = Unchanged()
    assert "keystone-1 reports 12.0.3 running; expected 13.0.4 running" in cluster.failure()
    assert cluster.acts[-len(BACK) :] == BACK


@pytest.mark.parametrize("broken", [*changing(SOURCE), "prove"], ids=lambda act: act.split()[0])
def test_a_node_that_cannot_go_back_is_out_of_rotation_and_says_so(broken: str) -> None:
    cluster = Cluster(broken={"install 13.0.4": -1, "prove": -1, broken: -1})
    assert cluster.failure() == (
        "keystone-1 could not be taken to 13.0.4: install 13.0.4 broke. Rolling back to 12.0.3 "
        f"failed too ({broken} broke): keystone-1 is OUT of rotation, the others serve. Next: "
        "repair the cause and start the upgrade again, which returns it first, or set server "
        "server-1 ready by hand"
    )
    assert cluster.state == "maint"
    assert "up" not in cluster.states


def refusal(cluster: Cluster) -> str:
    with pytest.raises(SetByHand) as caught:
        cluster.cycle().run()
    return str(caught.value)


@pytest.mark.parametrize("state", ["maint", "drain"])
@pytest.mark.parametrize("installed", [SOURCE, TARGET])
def test_a_server_that_a_person_took_out_is_left_alone(state: str, installed: str) -> None:
    cluster = Cluster(state=state, installed=installed)
    assert refusal(cluster) == (
        f"server-1 was taken out by hand, no upgrade did: measured {state} on haproxy, limit "
        "ready. It stays so: keystone-1 is not taken to 13.0.4, and nothing that needs all nodes "
        "begins. Next: ask who took it out, set server server-1 ready when it may serve, then "
        "clear this task"
    )
    assert cluster.acts == BEGUN[:-1]
    assert cluster.state == state


def test_a_person_who_is_a_moment_quicker_than_drain_keeps_the_server() -> None:
    cluster = Cluster()
    cycle = cluster.cycle()

    def note(state: str, text: str) -> None:
        cluster.notes.append((state, text))
        if state == "drain":
            cluster.state = "maint"

    cycle.note = note
    with pytest.raises(CycleFailed, match="server-1 was taken out by hand, no upgrade did"):
        cycle.run()
    assert "drain" not in cluster.acts
    assert cluster.states[-1] == "out", "its mark has to go, so that no later run returns it"
    assert cluster.state == "maint"


def test_dates_alone_make_no_node_done_unless_it_goes_back() -> None:
    unknown = f"{TARGET} 100.7 150 boot.7 160"
    cluster = Cluster(installed=TARGET)
    cluster.report_text = unknown
    assert "keystone-1 reports 13.0.4 running, but only file dates say so" in cluster.failure()
    back = Cluster(installed=TARGET)
    back.report_text = unknown
    cycle = back.cycle()
    cycle.certain = False
    assert cycle.run() is False


def test_what_was_not_as_it_was_left_is_noted_and_drained_anew() -> None:
    restarted = ["HAProxy haproxy was restarted"]
    cluster = Cluster(found=[restarted, [], ["server-1 was set to ready by hand"]])
    assert cluster.cycle().run() is True
    drained = cluster.acts.index("maint")
    assert cluster.acts[drained - 3 : drained] == [
        "wait_no_sessions", "keep_out", "wait_no_sessions",
    ]  # fmt: skip
    assert [text for state, text in cluster.notes if state == "note"] == [
        "HAProxy haproxy was restarted",
        "server-1 was set to ready by hand",
    ]


def test_too_little_capacity_while_a_node_is_stopped_is_noted_and_it_is_started() -> None:
    cluster = Cluster(lacks="lab_haproxy: measured 1 other servers")
    assert cluster.cycle().run() is True
    assert (
        "note",
        "too few servers serve while keystone-1 is out, on lab_haproxy: measured 1 other servers. "
        "It is started all the same: nothing else gives capacity back sooner",
    ) in cluster.notes


@dataclass
class Handled(Cluster):
    """Find at some acts that a person has set the server; that stays so."""

    at: tuple[str, ...] = ()

    def act(self, name: str) -> None:
        super().act(name)
        if name in self.at:
            raise SetByHand("server-1 was set to maint on haproxy by hand")


STAYS = (
    "; limit: server server-1 as the upgrade left it. It stays OUT of rotation as that person "
    "wants it. Next: set server server-1 ready by hand when it may serve, then clear this task"
)


@pytest.mark.parametrize("at", ["ready", "wait_up"])
def test_a_server_that_a_person_takes_out_during_the_cycle_stays_out(at: str) -> None:
    cluster = Handled(at=(at,))
    assert cluster.failure() == (
        "server-1 was set to maint on haproxy by hand. keystone-1 runs 13.0.4, and is proven"
        + STAYS
    )
    assert cluster.acts[-1] == at
    assert cluster.notes[-1] == ("out", "server-1 was set to maint on haproxy by hand")
    assert cluster.installed == TARGET


def test_a_person_who_takes_a_draining_server_keeps_it() -> None:
    cluster = Handled(at=("keep_out", "ready"))
    assert cluster.failure() == (
        "server-1 was set to maint on haproxy by hand. Nothing was stopped" + STAYS
    )
    assert cluster.running
    assert not [act for act in cluster.acts if act.startswith("stop")]
    assert cluster.states[-1] == "out"


def test_a_person_who_lets_a_draining_server_serve_is_obeyed() -> None:
    cluster = Handled(at=("keep_out",))
    assert cluster.failure() == (
        "server-1 was set to maint on haproxy by hand. keystone-1 is ready and UP again, nothing "
        "was stopped. Clear this task"
    )
    assert cluster.state == "ready"


def test_a_node_that_goes_back_stays_out_as_well_if_a_person_wants_that() -> None:
    cluster = Handled(at=("ready",), broken={"install 13.0.4": 1})
    assert cluster.failure() == (
        "server-1 was set to maint on haproxy by hand. keystone-1 could not be taken to 13.0.4: "
        "install 13.0.4 broke. keystone-1 is rolled back to 12.0.3" + STAYS
    )
    assert cluster.installed == SOURCE


@pytest.mark.parametrize(
    ("half_done", "done"),
    [({}, "keystone-1 is whole"), ({"running": False}, "keystone-1 is rolled back to 12.0.3")],
)
def test_a_node_that_is_brought_back_stays_out_if_a_person_wants_that(
    half_done: dict[str, Any], done: str
) -> None:
    cluster = Handled(at=("ready",), state="maint", **half_done)
    with pytest.raises(CycleFailed) as caught:
        cluster.cycle().return_left_out()
    assert str(caught.value) == f"server-1 was set to maint on haproxy by hand. {done}{STAYS}"
    assert cluster.states[-1] == "out"


def untold(cluster: Cluster, *states: str) -> NodeCycle:
    """Return a cycle whose notes of these states cannot be written down."""
    cycle = cluster.cycle()

    def note(state: str, text: str) -> None:
        if state in states:
            raise OSError(errno.ENOSPC, "No space left on device")
        cluster.notes.append((state, text))

    cycle.note = note
    return cycle


EVERY_NOTE = ("found", "maint", "stopped", "installed", "started", "proved", "up", "going back")


def test_a_node_goes_back_though_nothing_of_it_can_be_noted() -> None:
    cluster = Cluster(broken={f"start {TARGET}": 1})
    with pytest.raises(CycleFailed, match="ready and UP; no further node"):
        untold(cluster, *EVERY_NOTE).run()
    assert cluster.acts[-2:] == ["ready", "wait_up"]


def test_notes_that_fail_do_not_turn_a_good_cycle_round() -> None:
    cluster = Cluster()
    assert untold(cluster, *EVERY_NOTE).run()
    assert f"install {SOURCE}" not in cluster.acts, "it was not turned round"
    assert cluster.acts[-2:] == ["ready", "wait_up"]


def test_a_server_whose_leaving_cannot_be_noted_stays() -> None:
    cluster = Cluster()
    with pytest.raises(CycleFailed, match="is ready and UP again, nothing was stopped"):
        untold(cluster, "drain").run()
    assert "drain" not in cluster.acts


def test_a_node_that_was_left_out_returns_though_nothing_can_be_noted() -> None:
    cluster = Cluster(running=False, state="maint")
    assert "is rolled back to 12.0.3" in untold(cluster, *EVERY_NOTE).return_left_out()
