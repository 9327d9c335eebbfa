"""The machine's clock tells seconds, and waits."""

from __future__ import annotations

import time

from keystone_rollout.domain.clock import Clock
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK


def test_it_tells_the_time_and_waits() -> None:
    clock: Clock = SYSTEM_CLOCK
    began, before = clock.elapsed(), time.time()
    clock.sleep(0.02)
    assert clock.elapsed() - began >= 0.02
    assert before < clock.now() <= time.time()
