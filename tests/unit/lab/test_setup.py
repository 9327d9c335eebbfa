"""The shell part of the set-up, run for real in directories of the test."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import paths
from lab.airflow import environment as airflow

SETUP = paths.SOURCES / "setup"


def bash(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail; begin=${{EPOCHREALTIME/./}}; {script}"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def remove_stale_files(run: Path) -> str:
    done = bash(
        f". {SETUP}/console.sh; . {SETUP}/engine.sh; remove_stale_files",
        LAB_RUN_DIRECTORY=str(run),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pid_file_whose_number_belongs_to_another_process_is_stale(tmp_path: Path) -> None:
    (tmp_path / "docker/containerd").mkdir(parents=True)
    files = (tmp_path / "docker.pid", tmp_path / "docker/containerd/containerd.pid")
    for file in files:
        file.write_text(str(os.getpid()))
    output = remove_stale_files(tmp_path)
    assert not any(file.exists() for file in files)
    assert f"removing {files[0]}, whose process is no dockerd" in output


def test_the_pid_file_of_a_living_engine_stays(tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    engine = shutil.copy(sleep, tmp_path / "dockerd")
    with subprocess.Popen([engine, "60"]) as process:
        try:
            (tmp_path / "docker.pid").write_text(str(process.pid))
            assert remove_stale_files(tmp_path) == ""
            assert (tmp_path / "docker.pid").exists()
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("debian", "user", "message"),
    [
        ("true", "1000", "apt-get install gcc docker.io"),
        ("false", "0", "this host lacks (Debian's names): gcc docker.io"),
    ],
)
def test_what_cannot_be_installed_is_listed(debian: str, user: str, message: str) -> None:
    done = bash(
        f". {SETUP}/console.sh; . {SETUP}/requirements.sh; missing=' gcc docker.io'; "
        f"is_debian() {{ {debian}; }}; id() {{ echo {user}; }}; "
        "apt-get() { echo RAN; }; install_missing"
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "RAN" not in done.stdout


@pytest.mark.parametrize(
    ("programs", "ubuntu", "found"),
    [
        (["chromium"], "false", "none"),
        (["google-chrome"], "false", "none"),
        ([], "true", "none"),
        ([], "false", "chromium fonts-liberation"),
    ],
)
def test_a_browser_is_missing_only_where_there_is_none_and_debian_has_one(
    tmp_path: Path, programs: list[str], ubuntu: str, found: str
) -> None:
    for name in programs:
        (tmp_path / name).touch(0o755)
    done = bash(
        f". {SETUP}/requirements.sh; is_debian() {{ false; }}; is_ubuntu() {{ {ubuntu}; }}; "
        "engine_answers() { true; }; environment_is_current() { true; }; "
        "base_images_exist() { true; }; has_compose() { true; }; docker() { true; }; "
        f"mariadb-dump() {{ true; }}; PATH={tmp_path}; find_missing; echo ${{missing:-none}}"
    )
    assert done.stdout.strip() == found, done.stderr


def test_activate_sets_what_the_lab_itself_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = tmp_path / ".venv/bin"
    binaries.mkdir(parents=True)
    (binaries / "activate").write_text(f'PATH="{binaries}:$PATH"\n')
    for name in ("python", "airflow"):
        (binaries / name).write_text('#!/bin/sh\necho migrated >> "$AIRFLOW_HOME/airflow.db"\n')
        (binaries / name).chmod(0o755)
    (tmp_path / "lab").mkdir()
    shutil.copy(paths.SOURCES / "activate", tmp_path / "lab/activate")
    done = bash(f"cd /; set +u; for n in 1 2; do . {tmp_path}/lab/activate; done; env", PATH="/bin")
    assert done.returncode == 0, done.stderr
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "STATE", tmp_path / ".lab")
    monkeypatch.setattr(paths, "CONNECTIONS", tmp_path / ".lab/connections.yaml")
    inherited = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    wanted = airflow.environment(tmp_path / ".lab/airflow", inherited)
    names = [name for name in wanted if name not in ("PATH",)]
    assert {name: seen.get(name) for name in names} == {name: wanted[name] for name in names}
    assert (tmp_path / ".lab/airflow/airflow.db").read_text() == "migrated\n"
