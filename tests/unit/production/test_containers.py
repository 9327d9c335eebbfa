"""Compose is called for Airflow's own project, and what is secret goes in by standard input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from machine.errors import CommandError
from production import containers, paths

COMPOSE = """#!/bin/bash
case " $* " in *" version "*) exit 1 ;; esac
printf '%s\\n' "$*" >> "$RECORD/commands"
env > "$RECORD/environment"
case " $* " in *" exec "*) cat > "$RECORD/stdin"; echo "Imported connection one" ;; esac
if [ -e "$RECORD/fail" ]; then echo "no such service" >&2; exit 17; fi
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let Compose be a program that writes down how it was called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("docker", "docker-compose"):
        (programs / name).write_text(COMPOSE)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(tmp_path))
    monkeypatch.setattr(paths, "COMPOSE_ENV", tmp_path / "compose.env")
    paths.COMPOSE_ENV.write_text("COMPOSE_PROFILES=airflow\nROLLOUT_PORT=8085\n")
    return tmp_path


def commands(record: Path) -> list[str]:
    options = f"--project-name keystone-rollout-airflow --env-file {record}/compose.env "
    lines = (record / "commands").read_text().splitlines()
    assert all(line.startswith(options) for line in lines)
    return [line.removeprefix(options) for line in lines]


def test_start_takes_the_profiles_of_the_installation(record: Path) -> None:
    containers.start()
    assert commands(record) == [
        "--profile airflow up --detach --no-build",
        "--profile celery rm --stop --force redis worker",
    ]
    (record / "commands").unlink()
    paths.COMPOSE_ENV.write_text("COMPOSE_PROFILES=airflow,celery\n")
    containers.start()
    assert commands(record) == ["--profile airflow --profile celery up --detach --no-build"]


def test_stop_leaves_networks_and_volumes_alone(record: Path) -> None:
    containers.stop()
    assert commands(record) == ["--profile airflow --profile celery rm --stop --force"]


def test_a_variable_of_the_shell_does_not_prevail(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_PORT", "1")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "another")
    containers.start()
    environment = (record / "environment").read_text()
    assert "ROLLOUT_PORT" not in environment
    assert "COMPOSE_PROJECT_NAME" not in environment


def test_connections_go_in_by_standard_input(record: Path) -> None:
    file = record / "connections.yaml"
    file.write_text("one: {conn_type: generic, password: sesame}\n")
    assert containers.import_connections(file) == "Imported connection one\n"
    assert (record / "stdin").read_text() == file.read_text()
    everything = (record / "commands").read_text() + (record / "environment").read_text()
    assert "sesame" not in everything
    assert "airflow connections import --overwrite" in everything


def test_a_file_that_cannot_be_read_is_named(record: Path) -> None:
    with pytest.raises(
        CommandError, match=r"nowhere\.yaml cannot be read .*; no connection was stored"
    ):
        containers.import_connections(record / "nowhere.yaml")
    assert not (record / "commands").exists()


def test_a_failure_has_composes_last_words(record: Path) -> None:
    (record / "fail").touch()
    with pytest.raises(CommandError, match=r"exited with 17\nno such service"):
        containers.stop()


def test_a_worker_is_started_alone(record: Path) -> None:
    containers.start_worker()
    assert commands(record) == ["--profile celery up --detach --no-build worker"]
