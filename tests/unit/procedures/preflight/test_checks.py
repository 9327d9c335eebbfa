"""Preflight knows the build that a cloud file names, by whatever name it reports itself."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.procedures.preflight.checks import PreflightChecks
from tests.stand_ins import image_listings
from tests.stand_ins.systems import run_with


def preflight(target: str, folder: Path, **played: Any) -> PreflightChecks:
    cloud = load_cloud("lab").model_copy(update={"target": target})
    return PreflightChecks(run_with(cloud, folder, **played))


def image_verdict(target: str, reported: str, folder: Path) -> Verdict:
    image = SimpleNamespace(
        digest=lambda: "sha256:1",
        release=lambda: reported,
        configuration_findings=list,
        migrations=lambda: image_listings.image_of("13.0.4"),
    )
    schema = SimpleNamespace(versions=lambda: image_listings.numbers(24, 24, 24))
    found = preflight(target, folder, engine=SimpleNamespace(image=image), schema=schema)
    return found._image()[0]


@pytest.mark.parametrize(
    ("target", "reported", "ok"),
    [
        ("13.0.4", "13.0.4", True),
        ("13.0.5.dev4", "13.0.5.dev4", True),
        ("2:13.0.4-0ubuntu1.2", "13.0.4", True),
        ("13.0.5", "13.0.5.dev4", False),
        ("13.0.5.dev3", "13.0.5.dev4", False),
    ],
)
def test_the_upgrade_image_has_to_be_the_build_that_is_named(
    target: str, reported: str, ok: bool, tmp_path: Path
) -> None:
    verdict = image_verdict(target, reported, tmp_path)
    assert (verdict.check, verdict.ok) == ("image", ok)
    assert (verdict.measured, verdict.limit) == (reported, target)


@pytest.mark.parametrize(("reported", "ok"), [("13.0.4", False), ("12.0.3", True)])
def test_a_package_of_the_target_on_a_schema_that_is_not_migrated_is_too_early(
    reported: str, ok: bool, tmp_path: Path
) -> None:
    found = preflight("2:13.0.4-0ubuntu1.2", tmp_path)
    found.releases, found.expanded = {"keystone-1": reported}, False
    assert found._no_new_node_on_old_schema().ok is ok


def test_the_record_and_temporary_files_need_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path / "runs"))
    asked: list[Path] = []
    disk = SimpleNamespace(
        free_bytes=lambda folder: asked.append(folder) or (256 << 20) - 1,
        not_writable=lambda folder: None,
    )
    played = SimpleNamespace(by_name={})
    checks_made = dict(preflight("13.0.4", tmp_path, disk=disk, balancers=played)._checks())
    for subject in ("record", "temporary files"):
        (verdict,) = checks_made[subject]()
        assert (verdict.ok, verdict.check, verdict.measured) == (False, "free space", "255 MiB")
        assert verdict.limit == "writable, at least 256 MiB (limits.free_bytes)"
    assert asked == [tmp_path / "runs", Path(tempfile.gettempdir())]


def test_a_folder_that_takes_no_file_is_a_finding_however_much_room_it_has(tmp_path: Path) -> None:
    disk = SimpleNamespace(
        free_bytes=lambda folder: 1 << 40, not_writable=lambda folder: "Read-only file system"
    )
    (verdict,) = preflight("13.0.4", tmp_path, disk=disk)._room(tmp_path)
    assert not verdict.ok
    assert verdict.measured == "not writable: Read-only file system"
    assert preflight("13.0.4", tmp_path).of.disk.not_writable(Path("/proc"))


def test_enough_room_is_enough(tmp_path: Path) -> None:
    (verdict,) = preflight("13.0.4", tmp_path)._room(tmp_path / "not" / "made yet")
    assert verdict.ok, verdict
