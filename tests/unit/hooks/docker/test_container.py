"""An earlier container is waited for no longer than a phase may take, whatever the clock says."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.docker.container import PhaseContainer, PhaseContainerError
from keystone_rollout.hooks.files.cloud_file import load_cloud
from tests.stand_ins.set_clock import SetClock


def phase(cloud: Cloud, clock: SetClock, age: float, runs_for: float) -> PhaseContainer:
    """Return the container of a cloud; the one that it finds is of an age, and runs a while."""
    started = datetime.fromtimestamp(clock.now() - age, UTC).isoformat()
    clock.passed = 0.0

    def inspect(name: str) -> dict[str, Any]:
        running = clock.elapsed() < runs_for
        state = {"Status": "running", "Running": running, "StartedAt": started, "ExitCode": 0}
        return {"Config": {"Labels": {}}, "State": state}

    found = PhaseContainer(cloud, clock)
    found.hook = SimpleNamespace(  # type: ignore[assignment]
        api_client=SimpleNamespace(
            inspect_container=inspect,
            logs=lambda name: b"",
            remove_container=lambda name, force: None,
        )
    )
    return found


@pytest.mark.parametrize("ahead", [0.0, 86_400.0])
def test_a_container_that_does_not_end_is_left_although_its_start_lies_in_the_future(
    ahead: float,
) -> None:
    cloud, clock = load_cloud("lab"), SetClock()
    limit = cloud.limits.phase_seconds
    with pytest.raises(PhaseContainerError, match=f"limit {limit} s"):
        phase(cloud, clock, -ahead, runs_for=10 * limit).wait_for_earlier()
    assert limit <= clock.elapsed() < limit + 5


def test_time_before_this_wait_counts() -> None:
    cloud, clock = load_cloud("lab"), SetClock()
    limit = cloud.limits.phase_seconds
    with pytest.raises(PhaseContainerError, match=f"measured {limit + 1} s since its start"):
        phase(cloud, clock, limit + 1, runs_for=10 * limit).wait_for_earlier()
    assert clock.waits == []


def test_one_that_ends_is_removed() -> None:
    clock = SetClock()
    said = phase(load_cloud("lab"), clock, -60, runs_for=7).wait_for_earlier()
    assert "was waited for 7.0 s: exit status 0" in said
