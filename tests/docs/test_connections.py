"""What `make connections` prints for the example's cloud, filled in, is what the hooks need."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.models.connection import Connection
from airflow.providers.ssh.hooks.ssh import SSHHook
from airflow.secrets.local_filesystem import load_connections_dict

from keystone_rollout.cli.connections import connections_text
from keystone_rollout.domain.cloud.connections import FILL_IN
from keystone_rollout.hooks.files.cloud_file import load_cloud

CLOUD = load_cloud("production-example")
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIEYeLCyZSDjzbAmDC2zC9nbsWU0WrgTDBcLXgyIuOPZt"


@pytest.fixture
def connections(tmp_path: Path) -> dict[str, Connection]:
    """Fill the file in as the runbook says, and read it as `airflow connections import` does."""
    (tmp_path / "ssh-key").write_text("a key")
    text = connections_text("production-example")
    text = text.replace(f"/{FILL_IN}", str(tmp_path / "ssh-key"))
    text = text.replace(f"ssh-ed25519 {FILL_IN}", f"ssh-ed25519 {KEY}")
    path = tmp_path / "connections.yaml"
    path.write_text(text.replace(FILL_IN, "host.example.org"))
    return dict(load_connections_dict(str(path)))


def test_an_ssh_hook_of_it_checks_the_host_key(
    connections: dict[str, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    for node in CLOUD.nodes:
        monkeypatch.setenv(f"AIRFLOW_CONN_{node.ssh.upper()}", connections[node.ssh].get_uri())
        hook = SSHHook(ssh_conn_id=node.ssh)
        assert hook.no_host_key_check is False
        assert hook.host_key is not None
        assert hook.host_key.get_base64() == KEY


def test_databases_and_balancers_are_reached_as_the_runbook_says(
    connections: dict[str, Connection],
) -> None:
    databases = CLOUD.databases
    assert connections[databases.reader].schema == connections[databases.keystone].schema
    assert connections[databases.reader].schema == "keystone"
    assert not connections[databases.administrator].schema, "it works in several"
    assert {connections[each.connection].port for each in CLOUD.load_balancers} == {9999}
    assert str(connections[CLOUD.api.connection].host).startswith("https://")
