"""What all of a simulated cloud stands in: virtual time, numbered effects, faults, and death.

An effect is one call that looks at the outside or changes it. A fault strikes at one of them, by
its number. A process that is killed is dead for good: whatever its code catches, each later effect,
wait and record of it raises and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

Result = TypeVar("Result")
BEGIN = 1_800_000_000.0
GRACE_SECONDS = 5.0
"""For which Airflow lets a task go on that was marked as failed, before it kills it."""
MINUTE = 60.0


class Fault(StrEnum):
    """What strikes at an effect."""

    FAILS_ONCE = "fails once"
    FAILS_A_MINUTE = "fails for 60 s"
    """So does every call on the same system until then."""
    HANGS = "hangs"
    """It happens, and the answer never comes."""
    KILLED_BEFORE = "run killed before it"
    KILLED_AFTER = "run killed after it"
    TASK_KILLED = "task killed before it"
    """Airflow goes on, and knows that the task failed."""
    MARKED_FAILED = "task marked as failed"
    """Airflow goes on, and kills the task a little later."""
    TAKEN_OUT = "person takes out the server at work before it"
    """By hand, on every load balancer."""
    ANOTHER_TAKEN_OUT = "person takes out another server before it"


FIVE = (Fault.FAILS_ONCE, Fault.FAILS_A_MINUTE, Fault.HANGS, Fault.KILLED_BEFORE,
        Fault.KILLED_AFTER)  # fmt: skip
PERSON = (Fault.TAKEN_OUT, Fault.ANOTHER_TAKEN_OUT)
MACHINES = tuple(fault for fault in Fault if fault not in PERSON)
LOSES_RUN = {Fault.KILLED_BEFORE, Fault.KILLED_AFTER}


class Dead(BaseException):
    """What a dead process finds at each effect, wait and record."""


@dataclass(frozen=True)
class Effect:
    """One call on a system of the outside."""

    number: int
    task: str
    system: str
    call: str
    changes: bool

    def __str__(self) -> str:
        return f"effect {self.number} ({self.system}: {self.call}, in {self.task or 'no task'})"


@dataclass
class World:
    """Time, effects and faults of one simulation, and the process that works at the moment."""

    strikes: dict[int, Fault] = field(default_factory=dict)
    struck: list[tuple[Effect, Fault]] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    passed: float = 0.0
    task: str = ""
    dead: bool = False
    """Whether the process that works at the moment was killed."""
    run_lost: bool = False
    on_kill: Callable[[], object] = lambda: None
    passing: list[Callable[[float], object]] = field(default_factory=list)
    """Called with the seconds that pass: what goes on by itself."""
    by_hand: list[Callable[[Fault], object]] = field(default_factory=list)
    """Called when a person acts before an effect."""
    changed: list[Callable[[Effect], object]] = field(default_factory=list)
    """Called after each effect that changes something."""
    _end: float | None = None
    _broken: dict[str, float] = field(default_factory=dict)

    def begin(self, task: str, on_kill: Callable[[], object]) -> None:
        """Let a new process work."""
        self.task, self.on_kill, self.dead, self._end = task, on_kill, False, None

    def end(self) -> bool:
        """End the process; return whether it was killed, or would have been a little later."""
        was_killed = self.dead or self._end is not None
        self.begin("", lambda: None)
        return was_killed

    def now(self) -> float:
        return BEGIN + self.passed

    def elapsed(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        """Let the process wait."""
        self.alive()
        self.advance(max(seconds, 0.001))
        self.alive()

    def advance(self, seconds: float) -> None:
        """Let time pass, for everything."""
        for each in self.passing:
            each(seconds)
        self.passed += seconds

    def answers(self, system: str) -> bool:
        """Tell whether a system is not away for a while."""
        return self.passed >= self._broken.get(system, 0.0)

    def alive(self) -> None:
        """Raise Dead in a process that was killed."""
        if self._end is not None and self.passed >= self._end:
            self.dead = True
        if self.dead:
            raise Dead

    def effect(
        self,
        system: str,
        call: str,
        act: Callable[[], Result],
        fails: Callable[[str], Exception],
        *,
        changes: bool = False,
        seconds: float = 0.02,
        hangs: float = 30.0,
    ) -> Result:
        """Do one thing outside, or let its fault strike.

        :param fails: makes the error that callers of this system know
        :param seconds: how long it takes
        :param hangs: after how long its caller gives up waiting for an answer
        """
        self.alive()
        effect = Effect(len(self.effects), self.task, system, call, changes)
        self.effects.append(effect)
        fault = self.strikes.get(effect.number)
        if fault is not None:
            self.struck.append((effect, fault))
            self._strike(fault, effect)
        self.advance(seconds)
        self.alive()
        if fault is Fault.FAILS_ONCE or not self.answers(system):
            raise fails(f"{system} does not answer {call}")
        result = act()
        if changes:
            for each in self.changed:
                each(effect)
        if fault is Fault.HANGS:
            self.advance(hangs)
            raise fails(f"{system} has not answered {call} within {hangs:g} s")
        if fault is Fault.KILLED_AFTER:
            self.dead = True
            self.alive()
        return result

    def _strike(self, fault: Fault, effect: Effect) -> None:
        self.run_lost = self.run_lost or fault in LOSES_RUN
        if fault in (Fault.KILLED_BEFORE, Fault.TASK_KILLED):
            self.dead = True
            self.alive()
        elif fault is Fault.MARKED_FAILED:
            self._end = self.passed + GRACE_SECONDS
            self.on_kill()
        elif fault is Fault.FAILS_A_MINUTE:
            self._broken[effect.system] = self.passed + MINUTE
        elif fault in PERSON:
            for each in self.by_hand:
                each(fault)
