"""Measure the cost of one process of the load: CPU and memory, at its default and its highest rate.

The load of the upgrade runs for a few seconds against a small Keystone in this process, on
127.0.0.1. Only the load's own CPU seconds are counted, so other processes hardly matter.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from keystone_rollout.domain.load.credentials import KeystoneAccount
from keystone_rollout.domain.load.profile import LoadProfile
from keystone_rollout.domain.load.samples import merge
from keystone_rollout.hooks.locust.generator import LoadGeneratorHook
from tests.stand_ins.in_memory_keystone import ADMIN_PASSWORD, serve

SECONDS = 10
"""Of each measurement; also what bounds the number of requests."""

START_S = 60.0
SETTLE_S = 2.0
"""Until the start is over, with its imports and its residents."""

HIGHEST_RATE = 5000.0
"""More than one process makes, so that it never waits for its own clock."""


class LoadFailed(RuntimeError):
    """A load that failed, so that there is nothing to measure."""


@dataclass(frozen=True)
class Cost:
    """The cost of a load.

    :param requests: that were answered within the measurement
    :param seconds: wall-clock of it
    :param cpu_seconds: user and system time of the load's process and its children in it
    :param megabytes: resident memory at its end, in 10**6 bytes
    """

    requests: int
    seconds: float
    cpu_seconds: float
    megabytes: float

    @property
    def rate(self) -> float:
        """Return requests per second of wall-clock."""
        return self.requests / self.seconds

    @property
    def cores(self) -> float:
        """Return the part of one core that the load took."""
        return self.cpu_seconds / self.seconds

    @property
    def rate_of_a_core(self) -> float:
        """Return requests per CPU second: the rate of one whole core."""
        return self.requests / self.cpu_seconds


def measure(profile: LoadProfile, seconds: float = SECONDS) -> Cost:
    """Return the cost of a load of that profile; LoadFailed if one of its requests failed."""
    with serve() as keystone, tempfile.TemporaryDirectory() as folder:
        load = LoadGeneratorHook(Path(folder) / "load")
        account = KeystoneAccount(keystone.auth_url, "admin", ADMIN_PASSWORD)
        try:
            pid = load.start(profile, account, run_time_seconds=int(START_S + seconds)).pid
            load.wait_until_serving(START_S)
            time.sleep(SETTLE_S)
            before, began = _used(pid), time.monotonic()
            count = len(keystone.state.requests)
            time.sleep(seconds)
            after, ended = _used(pid), time.monotonic()
            count = len(keystone.state.requests) - count
            memory = psutil.Process(pid).memory_info().rss / 1e6
        finally:
            load.stop()
        failures = merge(load.samples()).failures
        if failures or not count:
            raise LoadFailed(f"{failures} of {count} requests failed: {load.failures()[:500]}")
    return Cost(count, ended - began, after - before, memory)


def describe(name: str, cost: Cost) -> str:
    """Return one measurement as a line."""
    return (
        f"{name}: {cost.rate:.0f} requests/s took {cost.cores:.0%} of a core "
        f"({cost.rate_of_a_core:.0f} requests per CPU second) and {cost.megabytes:.0f} MB"
    )


def _used(pid: int) -> float:
    """Return the CPU seconds of a process and of its children, also of those that have ended."""
    process = psutil.Process(pid)
    own = process.cpu_times()
    living = [child.cpu_times() for child in process.children(recursive=True)]
    gone = own.children_user + own.children_system
    return float(own.user + own.system + gone + sum(each.user + each.system for each in living))


def main() -> None:
    """Measure both rates and print them, with the ratio that carries over to another machine."""
    profile = LoadProfile()
    usual = measure(profile)
    print(describe(f"default rate of {profile.rate:g}/s", usual), flush=True)
    highest = measure(profile.model_copy(update={"rate": HIGHEST_RATE}))
    print(describe("as fast as it can", highest), flush=True)
    ratio = highest.rate_of_a_core / profile.rate
    print(f"rate of one whole core / default rate: {ratio:.1f}")


if __name__ == "__main__":
    main()
