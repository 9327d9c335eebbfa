"""Take one node from the source to the target release while the others serve.

The whole cycle is one unit: nothing may interleave with it. It reads the present state before each
act, so that it can be killed and started again at any point. If anything fails after the node has
left the rotation, the node is rolled back and returned.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from keystone_rollout.domain.node.release_report import RunningRelease, parse_release_report
from keystone_rollout.domain.node.steps import Step

log = logging.getLogger(__name__)


class NodeState(StrEnum):
    """The states of a node in its cycle."""

    FOUND = "found"
    DRAIN = "drain"
    MAINT = "maint"
    STOPPED = "stopped"
    INSTALLED = "installed"
    STARTED = "started"
    PROVED = "proved"
    UP = "up"
    DONE = "done"
    GOING_BACK = "going back"
    OUT = "out"
    """It stays out of rotation."""
    NOTE = "note"
    """A remark, no change of state."""


class Rotation(Protocol):
    """The load balancers, in each of which a server is taken out and returned."""

    def taken_out(self, server: str) -> str: ...
    def check_capacity(self, server: str) -> None: ...
    def lacking_capacity(self, server: str) -> str: ...
    def drain(self, server: str) -> None: ...
    def wait_no_sessions(self, server: str) -> None: ...
    def maint(self, server: str) -> None: ...
    def keep_out(self, server: str) -> list[str]: ...
    def ready(self, server: str) -> None: ...
    def wait_up(self, server: str) -> None: ...
    def is_serving(self, server: str) -> bool: ...


class Machine(Protocol):
    """The node itself, on which steps run."""

    def run(self, step: Step, release: str) -> str: ...


class Prover(Protocol):
    """The proof with real tokens, past the load balancer, that the node serves."""

    def prove(self) -> str: ...


class CycleFailed(Exception):
    """Why a node is not on the target release, and in which state it was left."""


class SetByHand(Exception):
    """A person's decision about a server, with its words; it is not overridden."""


class TakenOver(Exception):
    """Another attempt works on the node, so this one must not act any more."""


@dataclass
class NodeCycle:
    """One node's way from the source to the target release.

    ``note`` is called with (state, text) at each change: found, drain, maint, stopped, installed,
    started, proved, up ... It may raise TakenOver, which ends the cycle without another act. If
    `drain` cannot be noted, the server stays; every other note that fails is only logged.
    """

    node: str
    server: str
    source: str
    target: str
    rotation: Rotation
    machine: Machine
    prover: Prover
    note: Callable[[NodeState, str], None]
    certain: bool = True
    """Whether a node is done only if more than file dates says that it runs the target."""
    marked: Callable[[], bool] = lambda: False
    """Tells, once the node was looked at, whether an upgrade has marked the server as out."""
    proof: str = field(default="", init=False)
    _may_serve: bool = field(default=True, init=False)
    """Whether a balancer may send requests to the server: until maint, and from ready on."""

    def run(self) -> bool:
        """Run the cycle; return False if the node already served the target release.

        Raises CycleFailed once the node is rolled back and returned, or if that failed, too.
        """
        if self._already_done():
            return False
        self._check_kept()
        self._check_untouched()
        self.rotation.check_capacity(self.server)
        self._leave_rotation()
        try:
            self._replace(self.target)
            self._prove(self.target)
            self._enter_rotation()
        except TakenOver:
            raise
        except SetByHand as error:
            done = f"{self.node} runs {self.target}, and is proven"
            raise CycleFailed(self._stay_out(done, error)) from error
        except BaseException as error:  # also an interrupt: it must not leave the node out
            raise CycleFailed(self._roll_back_after(error)) from error
        return True

    def return_left_out(self) -> str:
        """Return a node that an interrupted run left out to rotation; return how, in a sentence.

        A node whose service is whole and proven is only set ready. Any other one is rolled back to
        the source release, which every schema before contract serves. Raises CycleFailed if the
        node stays out.
        """
        try:
            report = self._report()
            self._tell(NodeState.FOUND, str(report))
            if report.serves(self.target) or report.serves(self.source):
                self.proof = self.prover.prove()
                self._enter_rotation()
                return f"{self.node} was whole ({report}) and is ready and UP again"
        except TakenOver:
            raise
        except SetByHand as error:
            raise CycleFailed(self._stay_out(f"{self.node} is whole", error)) from error
        except Exception as error:
            self._tell(NodeState.GOING_BACK, f"{error}")
        try:
            self._roll_back()
        except TakenOver:
            raise
        except SetByHand as error:
            done = f"{self.node} is rolled back to {self.source}"
            raise CycleFailed(self._stay_out(done, error)) from error
        except Exception as error:
            raise CycleFailed(
                f"{self.node}, which an interrupted run took out of rotation, cannot be rolled "
                f"back to {self.source}: {error}. It stays OUT of rotation; the others serve. "
                f"Next: repair it (is the machine up?), then start the run again"
            ) from error
        return f"{self.node} is rolled back to {self.source}, ready and UP"

    def _tell(self, state: NodeState, text: str) -> None:
        """Tell a change; one that cannot be told is no reason to leave the node out."""
        try:
            self.note(state, text)
        except TakenOver:
            raise
        except Exception as error:
            log.error("%s: %s (%s) was not noted: %s", self.node, state, text, error)

    def _report(self) -> RunningRelease:
        return parse_release_report(self.machine.run(Step.REPORT_RELEASE, self.target))

    def _already_done(self) -> bool:
        report = self._report()
        self._tell(NodeState.FOUND, str(report))
        serves = report.serves_for_certain if self.certain else report.serves
        if not serves(self.target) or not self.rotation.is_serving(self.server):
            return False
        self.proof = self.prover.prove()
        self._tell(NodeState.DONE, f"already serves {self.target}; {self.proof}")
        return True

    def _check_kept(self) -> None:
        """Refuse to stop anything unless the node has the files of both releases."""
        for release in (self.target, self.source):
            lacking = self.machine.run(Step.CHECK_KEPT, release).split("\n")
            lacking = [line for line in lacking if line.strip()]
            if lacking:
                raise RuntimeError(
                    f"{self.node} lacks {', '.join(lacking)}, without which it could not be taken "
                    f"to {release}; limit 0 files missing. Next: put it back (the staging of an "
                    "upgrade does), and find out who removed it"
                )

    def _check_untouched(self) -> None:
        """Refuse to go on with a server that somebody else has taken out."""
        found = "" if self.marked() else self.rotation.taken_out(self.server)
        if found:
            raise SetByHand(self._by_hand(found))

    def _by_hand(self, found: str) -> str:
        return (
            f"{self.server} was taken out by hand, no upgrade did: measured {found}, limit ready. "
            f"It stays so: {self.node} is not taken to {self.target}, and nothing that needs all "
            f"nodes begins. Next: ask who took it out, set server {self.server} ready when it may "
            "serve, then clear this task"
        )

    def _leave_rotation(self) -> None:
        left_out = self.marked()
        try:
            self.note(NodeState.DRAIN, "no new requests")
            # Again, because notes and other servers were looked at meanwhile.
            if not left_out and (found := self.rotation.taken_out(self.server)):
                self._tell(NodeState.OUT, found)
                raise CycleFailed(self._by_hand(found))
            self.rotation.drain(self.server)
            self.rotation.wait_no_sessions(self.server)
            if self._still_out():
                self.rotation.wait_no_sessions(self.server)
            self.rotation.maint(self.server)
            self._may_serve = False
            self._tell(NodeState.MAINT, "0 sessions, out of rotation")
            # Another server may have died meanwhile; nothing was stopped, so this one can return.
            self.rotation.check_capacity(self.server)
        except (TakenOver, CycleFailed):
            raise
        except BaseException as error:
            # Nothing was stopped yet, so the node can be returned at once.
            raise CycleFailed(self._return_unchanged(_words(error))) from error

    def _return_unchanged(self, reason: str) -> str:
        try:
            self._enter_rotation()
        except TakenOver:
            raise
        except SetByHand as error:
            return self._stay_out("Nothing was stopped", error)
        except Exception as error:
            return (
                f"{reason}. {self.node} was NOT returned to rotation ({error}), though nothing "
                f"was stopped. Next: start the upgrade again, which returns it first, or set "
                f"server {self.server} ready by hand"
            )
        return f"{reason}. {self.node} is ready and UP again, nothing was stopped. Clear this task"

    def _stay_out(self, done: str, error: SetByHand) -> str:
        """Leave the server to the person who took it out: no later run returns it."""
        self._tell(NodeState.OUT, f"{error}")
        return (
            f"{error}. {done}; limit: server {self.server} as the upgrade left it. It stays OUT of "
            f"rotation as that person wants it. Next: set server {self.server} ready by hand when "
            "it may serve, then clear this task"
        )

    def _still_out(self) -> list[str]:
        """Have the server out of rotation still; note and return in words what was not so."""
        found = self.rotation.keep_out(self.server)
        for text in found:
            self._tell(NodeState.NOTE, text)
        return found

    def _note_capacity(self) -> None:
        lacking = self.rotation.lacking_capacity(self.server)
        if lacking:
            self._tell(
                NodeState.NOTE,
                f"too few servers serve while {self.node} is out, on {lacking}. It is started all "
                "the same: nothing else gives capacity back sooner",
            )

    def _replace(self, release: str) -> None:
        self._still_out()
        self.machine.run(Step.STOP, release)
        self._tell(NodeState.STOPPED, "service stopped")
        self.machine.run(Step.ENABLE_REPOSITORY, release)
        self.machine.run(Step.INSTALL, release)
        self.machine.run(Step.CONFIGURE, release)
        self._tell(NodeState.INSTALLED, release)
        self._still_out()
        self._note_capacity()
        self.machine.run(Step.START, release)
        self._tell(NodeState.STARTED, release)

    def _prove(self, release: str) -> None:
        self.proof = self.prover.prove()
        report = self._report()
        if not report.serves_for_certain(release):
            raise CycleFailed(f"{self.node} reports {report.in_full}; expected {release} running")
        self._tell(NodeState.PROVED, self.proof)

    def _enter_rotation(self) -> None:
        self._may_serve = True
        self.rotation.ready(self.server)
        self.rotation.wait_up(self.server)
        self._tell(NodeState.UP, "ready and UP, stable")

    def _roll_back(self) -> None:
        if self._may_serve:
            self.rotation.maint(self.server)
            self._may_serve = False
        self._replace(self.source)
        self._prove(self.source)
        self._enter_rotation()

    def _roll_back_after(self, reason: BaseException) -> str:
        self._tell(NodeState.GOING_BACK, _words(reason))
        failed = f"{self.node} could not be taken to {self.target}: {_words(reason)}"
        try:
            self._roll_back()
        except TakenOver:
            raise
        except SetByHand as error:
            return self._stay_out(f"{failed}. {self.node} is rolled back to {self.source}", error)
        except Exception as error:
            return (
                f"{failed}. Rolling back to {self.source} failed too ({error}): {self.node} is OUT "
                "of rotation, the others serve. Next: repair the cause and start the upgrade "
                f"again, which returns it first, or set server {self.server} ready by hand"
            )
        return (
            f"{failed}. {self.node} is rolled back to {self.source}, ready and UP; no further "
            "node is started. Remove the cause, then clear this task"
        )


def _words(error: BaseException) -> str:
    """Return an error's text, or its type's name if it has none, as an interrupt."""
    return f"{error}" or type(error).__name__
