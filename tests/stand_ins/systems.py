"""A run whose systems are the real ones but for those that a test puts in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.procedures.run.systems import RealSystems


def run_with(cloud: Cloud, folder: Path, **played: Any) -> RolloutRun:
    """Return a run of a cloud; ``played`` systems go by their names in domain.run.systems."""
    directory = RunDirectory("run-1", folder, played.get("clock", SYSTEM_CLOCK))
    systems = RealSystems(cloud, directory)
    for name, system in played.items():
        assert hasattr(RealSystems, name) or hasattr(systems, name), name
        setattr(systems, name, system)
    return RolloutRun(cloud, directory, "task", found=systems)
