"""What the load costs is measured on its own process, and requests are those of the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench import load_generator
from bench.load_generator import Cost, LoadFailed, describe, measure
from keystone_rollout.domain.load.profile import LoadProfile
from tests.stand_ins.in_memory_keystone import InMemoryKeystone


def test_the_figures_follow_from_what_was_counted() -> None:
    cost = Cost(requests=600, seconds=10.0, cpu_seconds=0.5, megabytes=64.4)
    assert (cost.rate, cost.cores, cost.rate_of_a_core) == (60.0, 0.05, 1200.0)
    assert describe("default", cost) == (
        "default: 60 requests/s took 5% of a core (1200 requests per CPU second) and 64 MB"
    )


def test_a_load_of_a_few_seconds_is_measured() -> None:
    cost = measure(LoadProfile(rate=40, users=4, residents=2), seconds=2)
    assert 0 < cost.requests < 400
    assert 2 <= cost.seconds < 20
    # Below what its start took: only what is used within the measurement counts.
    assert 0 < cost.cpu_seconds < cost.seconds
    assert 20 < cost.megabytes < 500


def test_a_load_whose_requests_fail_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    served = load_generator.serve

    @contextmanager
    def mixed_up() -> Iterator[InMemoryKeystone]:
        with served() as keystone:
            keystone.state.faults.add("mix_up")
            yield keystone

    monkeypatch.setattr(load_generator, "serve", mixed_up)
    with pytest.raises(LoadFailed, match=r"requests failed: .*the token belongs to another user"):
        measure(LoadProfile(rate=40, users=4, residents=2), seconds=2)
