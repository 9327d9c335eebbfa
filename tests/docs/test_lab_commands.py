"""The commands of the documentation that need the lab, and that no other test runs."""

from __future__ import annotations

import os
import subprocess
import sys

import docker
import pytest

from tests.docs.documentation import ROOT

pytestmark = [pytest.mark.lab]


def lab_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run what `make` runs, without its `setup`."""
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_reset_then_status_then_plan(lab: docker.DockerClient) -> None:
    reset = lab_command("reset")
    assert reset.returncode == 0, reset.stdout + reset.stderr
    status = lab_command("status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert "keystone-1" in status.stdout
    assert "12.0.3" in status.stdout
    plan = lab_command("plan")
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "page: " in plan.stdout
