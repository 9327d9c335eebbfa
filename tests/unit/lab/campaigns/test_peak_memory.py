"""The peak of used memory, measured from a file that the test writes."""

import time
from pathlib import Path

import pytest

from lab.campaigns.peak_memory import PeakMemory, this_machine, used_bytes
from machine.errors import CommandError

MIB = 1024**2


def write(meminfo: Path, available_mib: int) -> None:
    part = meminfo.with_suffix(".part")
    part.write_text(
        f"MemTotal:       {8192 * 1024} kB\nMemFree:  1 kB\n"
        f"MemAvailable:   {available_mib * 1024} kB\n"
    )
    part.replace(meminfo)


def test_the_peak_is_what_was_used_above_the_start(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    write(meminfo, 6000)
    with PeakMemory(meminfo, interval=0.01) as memory:
        assert memory.start_bytes == 2192 * MIB
        write(meminfo, 4500)
        end = time.monotonic() + 10
        while memory.peak_bytes < 1500 * MIB:
            assert time.monotonic() < end
            time.sleep(0.01)
        write(meminfo, 7000)
    assert memory.peak_bytes == 1500 * MIB


def test_a_peak_between_two_looks_is_seen_by_the_thread(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    write(meminfo, 6000)
    with PeakMemory(meminfo, interval=0.01) as memory:
        write(meminfo, 5000)
        time.sleep(1)
        write(meminfo, 6000)
    assert memory.peak_bytes == 1000 * MIB


def test_a_machine_that_does_not_tell_is_no_machine_that_needs_nothing(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8 kB\n")
    with pytest.raises(CommandError, match="meminfo has MemTotal of MemTotal and MemAvailable"):
        used_bytes(meminfo)


def test_this_machine_has_cores_and_memory() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.memory_bytes > used_bytes() > 0
