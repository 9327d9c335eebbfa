"""A clock that is set: whoever waits by it has waited at once."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class SetClock:
    """Stand for time (keystone_rollout.domain.clock.Clock); ``waits`` keeps what was waited."""

    moment: float = 1_800_000_000.0
    passed: float = 0.0
    waits: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.moment + self.passed

    def elapsed(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.passed += seconds
