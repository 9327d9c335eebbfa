"""The connections of a cloud: every one that its file names, once, to be filled in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from keystone_rollout.cli import connections as cloud_connections
from keystone_rollout.domain.cloud.connections import FILL_IN, wanted_connections
from keystone_rollout.domain.cloud.notifications import Notification
from keystone_rollout.hooks.files.cloud_file import cloud_path, load_cloud
from keystone_rollout.hooks.notifiers.choice import problem
from lab import paths
from lab.cloud import connections, keys, secrets

NAMED_IN_PRODUCTION = {
    "production_keystone_reader": "mysql",
    "production_keystone": "mysql",
    "production_database_admin": "mysql",
    "production_haproxy_1": "generic",
    "production_haproxy_2": "generic",
    "production_keystone_api": "generic",
    "production_controller_1": "ssh",
    "production_controller_2": "ssh",
    "production_controller_3": "ssh",
    "production_mail": "smtp",
    "production_slack": "slackwebhook",
    "production_pager": "apprise",
}


def test_every_connection_that_the_file_names_is_there() -> None:
    wanted = wanted_connections(load_cloud("production-example"))
    assert {each.name: each.fields["conn_type"] for each in wanted} == NAMED_IN_PRODUCTION


def test_it_asks_for_the_same_as_the_lab_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What works in the lab has these fields; a skeleton that lacks one would fail."""
    for name in ("SSH", "CLIENT_KEY", "KNOWN_HOSTS", "FERNET_KEYS", "CREDENTIAL_KEYS"):
        monkeypatch.setattr(paths, name, tmp_path / getattr(paths, name).relative_to(paths.STATE))
    keys.ensure_keys()
    lab = connections.all_connections(secrets.generate())
    wanted = {each.name: each.fields for each in wanted_connections(load_cloud("lab"))}
    assert wanted.keys() == lab.keys()
    for name, fields in wanted.items():
        assert fields.keys() == lab[name].keys(), name
        assert fields["conn_type"] == lab[name]["conn_type"]
        assert set(fields.get("extra", {})) == set(lab[name].get("extra", {})), name


@pytest.mark.parametrize("settings", load_cloud("production-example").notifications)
def test_filled_in_it_has_all_that_a_notifier_needs(
    settings: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = load_cloud("production-example")
    wanted = {each.name: each.fields for each in wanted_connections(cloud)}
    text = json.dumps(wanted[settings.connection])
    monkeypatch.setenv(f"AIRFLOW_CONN_{settings.connection.upper()}", text)
    assert problem(settings) == ""


def test_one_connection_for_two_purposes_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lab(tmp_path, monkeypatch, {"administrator": "both", "keystone": "both"})
    wanted = {each.name: each.purpose for each in wanted_connections(load_cloud("lab"))}
    assert wanted["both"].startswith("Keystone's own account")
    assert "SET GLOBAL" in wanted["both"]


def test_one_name_for_two_kinds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lab(tmp_path, monkeypatch, {"reader": "lab_keystone_1"})
    assert cloud_connections.main(["lab"]) == 1
    assert "connection lab_keystone_1 is named as reads schema" in capsys.readouterr().err


def test_what_is_printed_is_what_airflow_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud_connections.main(["production-example"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    read = yaml.safe_load(text)
    assert {name: each["conn_type"] for name, each in read.items()} == NAMED_IN_PRODUCTION
    assert all(FILL_IN in yaml.safe_dump(each) for each in read.values())
    assert "airflow connections import --overwrite" in text


def test_a_cloud_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud_connections.main(["nowhere"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cloud 'nowhere'" in captured.err


def write_lab(folder: Path, monkeypatch: pytest.MonkeyPatch, databases: dict[str, str]) -> None:
    """Write the lab's cloud file with other connections to the database."""
    data = yaml.safe_load(cloud_path("lab").read_text())
    data["databases"] |= databases
    (folder / "lab.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(folder))
