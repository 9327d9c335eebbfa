"""The peak of used memory, measured from numbers that the test sets."""

from __future__ import annotations

import time

import psutil

from lab.campaigns.peak_memory import PeakMemory, used_bytes

MIB = 1024**2


def test_the_peak_is_what_was_used_above_the_start() -> None:
    used = [2192 * MIB]
    with PeakMemory(lambda: used[0], interval=0.01) as memory:
        assert memory.start_bytes == 2192 * MIB
        used[0] = 3692 * MIB
        assert memory.peak_bytes == 1500 * MIB
        used[0] = 1192 * MIB
    assert memory.peak_bytes == 1500 * MIB


def test_a_peak_between_two_looks_is_seen_by_the_thread() -> None:
    used = [2000 * MIB]
    with PeakMemory(lambda: used[0], interval=0.01) as memory:
        used[0] = 3000 * MIB
        time.sleep(1)
        used[0] = 2000 * MIB
    assert memory.peak_bytes == 1000 * MIB


def test_this_machine_uses_some_of_its_memory() -> None:
    assert psutil.virtual_memory().total > used_bytes() > 0
