"""Faults that are found before anything is changed: rights, host keys, and the backup."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.airflow.process import activated_environment
from lab.cloud.connections import all_connections
from lab.cloud.secrets import load as load_secrets
from lab.paths import ROOT
from tests.scenarios import lab_state, moments
from tests.scenarios.campaign import Campaign
from tests.scenarios.fault import Fault, Preparation, Violation
from tests.scenarios.scenario_cloud import connection_variable
from tests.scenarios.scene import Scene

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

START = lab_state.at_source
OTHER_HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEYeLCyZSDjzbAmDC2zC9nbsWU0WrgTDBcLXgyIuOPZt"
OTHER_KEY_CONNECTION = "scenario_other_host_key"
RESTORED_TABLES = 5


@contextmanager
def wrong_rights_and_host_key(preparation: Preparation) -> Iterator[None]:
    """Let the administrator be an account without SET GLOBAL, and one node have another key."""
    good = all_connections(load_secrets())["lab_keystone_1"]
    changed = {**good, "extra": {**good["extra"], "host_key": OTHER_HOST_KEY}}
    preparation.environment |= connection_variable(OTHER_KEY_CONNECTION, changed)
    preparation.cloud["databases"]["administrator"] = "lab_database_keystone"
    preparation.cloud["nodes"][0]["ssh"] = OTHER_KEY_CONNECTION
    yield


def nothing_but_preflight(scene: Scene) -> Iterable[str]:
    """Return a finding where a step began after preflight had failed."""
    begun = moments.steps(scene.run.events()) - {"plan", "preflight"}
    if begun - {"upgrade_succeeded", "release_lock"}:
        yield f"steps began although preflight failed: {', '.join(sorted(begun))}"


@contextmanager
def backups_on_a_disk_of_their_own(preparation: Preparation) -> Iterator[None]:
    """Put the backups on a disk that has room until it is made smaller."""
    folder = preparation.folder / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16g", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    preparation.cloud["backup_directory"] = str(folder)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def disk_full_for_the_dump(scene: Scene) -> Iterator[None]:
    """Leave one page to a dump."""
    folder = str(_dump(scene).parent)
    subprocess.run(["mount", "-o", "remount,size=4k", folder], check=True)
    yield


def no_dump_and_no_load(scene: Scene) -> Iterable[str]:
    """Return a finding where a dump counts as complete, or the load has begun."""
    left = [path.name for path in _dump(scene).parent.glob(f"{_dump(scene).stem}*")]
    if left:
        yield f"left of a dump that could not be written: {', '.join(left)}"
    yield from no_load(scene)


def no_load(scene: Scene) -> Iterable[str]:
    """Return a finding where the load has begun without a backup."""
    if any(event["kind"] == "load_started" for event in scene.run.events()):
        yield "the load began without a verified backup"


def _dump(scene: Scene) -> Path:
    assert scene.run.directory is not None
    return ROOT / str(scene.cloud["backup_directory"]) / f"{scene.run.directory.name}.sql"


@contextmanager
def restores_a_part(preparation: Preparation) -> Iterator[None]:
    """Put a client first in PATH that restores some tables of the dump, and says it was all."""
    real = shutil.which("mariadb") or shutil.which("mysql")
    assert real, "there is no MariaDB client on this machine"
    folder = preparation.folder / "bin"
    folder.mkdir()
    wrapper = folder / "mariadb"
    wrapper.write_text(
        "#!/bin/bash\n"
        f"awk '/^-- Table structure/ && ++n > {RESTORED_TABLES} {{exit}} {{print}}' | "
        f'{real} "$@"\n'
    )
    wrapper.chmod(0o755)
    path = activated_environment()["PATH"]
    preparation.environment["PATH"] = f"{folder}:{path}"
    yield


FAULTS = [
    Fault(
        "14",
        "an administrator without SET GLOBAL, and a changed host key",
        prepare=wrong_rights_and_host_key,
        violates=(
            Violation("SET GLOBAL", "not allowed", subject="lab_database_keystone"),
            Violation("preflight", "does not match", subject="keystone-1"),
        ),
        afterwards=nothing_but_preflight,
    ),
    Fault(
        "17",
        "the disk is full for the backup",
        prepare=backups_on_a_disk_of_their_own,
        moment=moments.step("preflight", "finished"),
        strike=disk_full_for_the_dump,
        says=("the dump could not be written: [Errno 28]", "Nothing was changed"),
        afterwards=no_dump_and_no_load,
    ),
    Fault(
        "18",
        "the backup does not restore",
        prepare=restores_a_part,
        violates=(
            Violation("backup", "; wrong: ", "every table restored, unchanged ones identical"),
        ),
        afterwards=no_load,
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.title for fault in FAULTS])
def test_nothing_is_changed(campaign: Campaign, fault: Fault) -> None:
    campaign.face(fault)
