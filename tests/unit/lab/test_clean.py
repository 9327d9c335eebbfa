"""What clean removes of the folders here; the engine's part needs an engine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab import paths


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout with what its commands leave behind."""
    (tmp_path / "lab").mkdir()
    shutil.copy(paths.SOURCES / "clean.sh", tmp_path / "lab" / "clean.sh")
    for file in (
        ".venv/bin/python", ".airflow/secrets/fernet_key", ".airflow/runs/one/report.html",
        ".airflow/compose.env", "dist/keystone_rollout.whl", "keystone_rollout.egg-info/PKG-INFO",
        "plugins/__pycache__/x.pyc", "plugins/kept.py",
    ):  # fmt: skip
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / ".airflow" / "files").mkdir()
    return tmp_path


def clean(checkout: Path) -> str:
    """Run it where no engine can be found; what it would do there is another test's."""
    programs = checkout / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "dirname", "find", "ls", "rm"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    done = subprocess.run(
        [checkout / "lab" / "clean.sh"],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(programs)
    assert done.returncode == 0, done.stderr
    return done.stdout


def left(checkout: Path) -> set[str]:
    return {str(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_file()}


def test_no_trace_is_left(checkout: Path) -> None:
    clean(checkout)
    assert left(checkout) == {"lab/clean.sh", "plugins/kept.py"}
    assert not (checkout / ".airflow").exists()


def test_a_backup_that_was_put_there_stays(checkout: Path) -> None:
    """It may be the only way back of a cloud that is not gone."""
    backup = checkout / ".airflow" / "files" / "backups" / "production.sql"
    backup.parent.mkdir()
    backup.touch()
    assert f"{checkout}/.airflow/files stays" in clean(checkout)
    assert left(checkout) == {
        "lab/clean.sh", "plugins/kept.py", ".airflow/files/backups/production.sql",
    }  # fmt: skip
