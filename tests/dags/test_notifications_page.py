"""The page about notifications shows what works: its files are read, its commands are run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from apprise import Apprise

from keystone_rollout.domain.cloud.notifications import HAPPENINGS, Message, Notification
from keystone_rollout.hooks.files.cloud_file import parse_cloud
from keystone_rollout.hooks.notifiers.choice import make_notifier, problem
from keystone_rollout.procedures.run.notification import SECONDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "notifications.md").read_text(encoding="utf-8")
SECTION, *CONNECTIONS = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
(COMMANDS,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)


def notifications() -> list[Notification]:
    example = (ROOT / "include" / "clouds" / "lab.yaml").read_text(encoding="utf-8")
    return parse_cloud(f"{example}\n{SECTION}", "lab.yaml").notifications


def connections() -> dict[str, dict[str, Any]]:
    return {name: each for text in CONNECTIONS for name, each in yaml.safe_load(text).items()}


def test_every_event_is_explained() -> None:
    assert tuple(re.findall(r"^\| (\w+) \|", PAGE.split("## In the cloud file")[0], re.M)[1:]) == (
        HAPPENINGS
    )


def test_there_is_one_example_for_each_provider() -> None:
    assert [each.via for each in notifications()] == ["smtp", "slack", "apprise"]
    assert [each.connection for each in notifications()] == list(connections())


@pytest.mark.parametrize("settings", notifications(), ids=lambda each: each.via)
def test_the_example_connections_have_all_that_their_notifiers_need(
    settings: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(connections()[settings.connection])
    monkeypatch.setenv(f"AIRFLOW_CONN_{settings.connection.upper()}", text)
    assert problem(settings) == ""
    assert make_notifier(settings, Message("halted", "subject", "body"), 10) is not None


def test_apprise_knows_the_services_of_the_example() -> None:
    paths = [each["path"] for each in connections()["production_pager"]["extra"]["config"]]
    assert [type(Apprise.instantiate(path)).__name__ for path in paths] == [
        "NotifyPagerDuty",
        "NotifyJSON",
    ]


def test_the_page_says_how_long_a_run_may_be_held_up() -> None:
    assert f"holds it up for {SECONDS} s at most" in PAGE
    assert f"no answer within {SECONDS} s" in PAGE


def test_the_commands_import_the_connections_and_leave_no_file(
    initialised_airflow: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.yaml"
    kept.write_text("".join(CONNECTIONS), encoding="utf-8")
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\ncp {kept} "$1"\n', encoding="utf-8")
    editor.chmod(0o700)
    folder = Path(sys.executable).parent
    tools = tmp_path / "airflow"
    tools.write_text(f'#!/bin/sh\nexec {folder}/python -m airflow "$@"\n', encoding="utf-8")
    tools.chmod(0o700)
    done = subprocess.run(
        ["sh", "-eu", "-c", COMMANDS],
        cwd=tmp_path,
        env={**os.environ, "EDITOR": str(editor), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, connection in connections().items():
        assert f"Imported connection {name}" in done.stdout
        secret = connection.get("password", "integration-key")
        assert secret not in done.stdout + done.stderr
    assert not (tmp_path / "connections.yaml").exists()
