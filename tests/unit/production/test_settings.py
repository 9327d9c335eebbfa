"""What may be chosen for an installation, and the variables that come of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from machine import paths as machine_paths
from machine.errors import CommandError
from production import paths, settings
from production.settings import Settings

FOLDERS = ("secrets", "login", "config", "runs", "rehearsals", "logs", "files")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the project be a folder of the test."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(machine_paths, "STATE", tmp_path / ".lab")
    state = tmp_path / ".airflow"
    monkeypatch.setattr(paths, "STATE", state)
    monkeypatch.setattr(paths, "COMPOSE_ENV", state / "compose.env")
    names = ("SECRETS", "LOGIN", "CONFIGURATION", "RUNS", "REHEARSALS", "LOGS", "FILES")
    for name, folder in zip(names, FOLDERS, strict=True):
        monkeypatch.setattr(paths, name, state / folder)
    return tmp_path


def test_all_that_the_containers_mount_is_made_for_this_account_alone(root: Path) -> None:
    settings.write(Settings(), "10.9.8")
    for folder in FOLDERS:
        assert (root / ".airflow" / folder).stat().st_mode & 0o777 == 0o700
    assert (root / ".lab").is_dir()
    assert (root / ".airflow" / "config" / "airflow.cfg").stat().st_mode & 0o777 == 0o600


def test_what_was_written_is_read_again(root: Path) -> None:
    settings.write(Settings(port=8085), "10.9.8")
    read = settings.read_written()
    assert read == Settings(port=8085).variables("10.9.8")
    assert read["ROLLOUT_URL"] == "http://127.0.0.1:8085"
    assert read["ROLLOUT_EXECUTOR"] == "LocalExecutor"
    assert read["COMPOSE_PROFILES"] == "airflow"
    assert read["ROLLOUT_USER"] == f"{os.getuid()}:{os.getgid()}"
    assert read["ROLLOUT_CLOUDS"] == str(root / "include" / "clouds")
    assert read["LAB_NETWORK"] == "10.9.8"


def test_with_celery_there_is_a_worker(root: Path) -> None:
    variables = Settings(celery=True).variables("10.9.8")
    assert variables["ROLLOUT_EXECUTOR"] == "CeleryExecutor"
    assert variables["COMPOSE_PROFILES"] == "airflow,celery"


def test_the_operators_own_settings_are_kept(root: Path) -> None:
    settings.write(Settings(), "10.9.8")
    own = root / ".airflow" / "config" / "airflow.cfg"
    own.write_text("[smtp]\nsmtp_host = mail.example.org\n")
    settings.write(Settings(), "10.9.8")
    assert "mail.example.org" in own.read_text()


def test_a_folder_of_files_may_bring_its_own_clouds(root: Path, tmp_path: Path) -> None:
    files = tmp_path / "srv"
    files.mkdir()
    without = Settings(files=files).variables("10.9.8")
    assert without["ROLLOUT_FILES"] == str(files)
    assert without["ROLLOUT_CLOUDS"] == str(root / "include" / "clouds")
    (files / "clouds").mkdir()
    assert Settings(files=files).variables("10.9.8")["ROLLOUT_CLOUDS"] == str(files / "clouds")


def test_a_folder_that_is_missing_is_not_made(root: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"FILES=.*/nowhere is no folder .* nothing was started"):
        settings.write(Settings(files=tmp_path / "nowhere"), "10.9.8")
    assert not (tmp_path / "nowhere").exists()
    assert not paths.COMPOSE_ENV.exists()


def test_without_an_installation_the_next_step_is_said(root: Path) -> None:
    with pytest.raises(CommandError, match="Airflow was not started; make airflow"):
        settings.read_written()


def test_what_is_read_at_the_start_is_known_by_a_hash(root: Path) -> None:
    """A container is replaced where a password, a setting or a plugin is another one."""
    settings.write(Settings(), "10.9.8")
    plugin = root / "plugins" / "hooks" / "one.py"
    plugin.parent.mkdir(parents=True)
    seen = [settings.read_at_the_start()]
    for file in (paths.SECRETS / "redis_password", paths.CONFIGURATION / "airflow.cfg", plugin):
        file.write_text("changed")
        seen.append(settings.read_at_the_start())
    assert len(set(seen)) == 4
    (root / "plugins" / "hooks" / "one.pyc").touch()
    (root / "dags").mkdir()
    (root / "dags" / "one.py").touch()  # read again all the time
    settings.write(Settings(), "10.9.8")
    assert settings.read_written()["ROLLOUT_STARTED_WITH"] == seen[-1]
