"""The template of the connections holds what the example's cloud file names, and no secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from airflow.providers.ssh.hooks.ssh import SSHHook
from airflow.secrets.local_filesystem import load_connections_dict

from hooks.cloud_file import load_cloud
from lab import paths
from lab.connections import all_connections
from lab.secrets import Secrets
from lab.topology import NODES
from tests.docs.documentation import ROOT

TEMPLATE = ROOT / "include" / "connections" / "production-example.yaml"
CLOUD = load_cloud("production-example")


def named() -> Iterator[str]:
    """Yield the id of every connection that the cloud file names."""
    yield from (node.ssh for node in CLOUD.nodes)
    yield from (balancer.connection for balancer in CLOUD.load_balancers)
    databases = CLOUD.databases
    yield from (databases.reader, databases.keystone, databases.administrator, CLOUD.api.connection)


def connections() -> dict[str, Any]:
    return dict(load_connections_dict(str(TEMPLATE)))


def test_the_template_holds_the_cloud_files_connections_and_no_other() -> None:
    assert set(connections()) == set(named())


def test_airflow_reads_what_the_hooks_need() -> None:
    read = connections()
    for node in CLOUD.nodes:
        extra = read[node.ssh].extra_dejson
        assert extra["no_host_key_check"] is False
        assert extra["host_key"].startswith("ssh-ed25519 ")
        assert Path(extra["key_file"]).is_absolute()
        assert read[node.ssh].host == urlsplit(node.url).hostname
    for balancer in CLOUD.load_balancers:
        assert read[balancer.connection].host
        assert read[balancer.connection].port
    databases = CLOUD.databases
    servers = {
        (read[each].host, read[each].port, read[each].conn_type)
        for each in (databases.reader, databases.keystone, databases.administrator)
    }
    assert len(servers) == 1, "a global variable belongs to one server"
    assert read[databases.reader].schema == read[databases.keystone].schema == "keystone"
    assert not read[databases.administrator].schema
    assert read[CLOUD.api.connection].host.startswith("https://")


def test_a_filled_in_template_makes_an_ssh_hook_that_checks_the_host_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIEYeLCyZSDjzbAmDC2zC9nbsWU0WrgTDBcLXgyIuOPZt"
    (tmp_path / "key").write_text("a key")
    text = TEMPLATE.read_text().replace("ed25519 CHANGE-ME", f"ed25519 {key}")
    (tmp_path / "c.yaml").write_text(
        text.replace("/etc/keystone-rollout/ssh-key", str(tmp_path / "key"))
    )
    connection = load_connections_dict(str(tmp_path / "c.yaml"))[CLOUD.nodes[0].ssh]
    monkeypatch.setenv(f"AIRFLOW_CONN_{CLOUD.nodes[0].ssh.upper()}", connection.get_uri())
    hook = SSHHook(ssh_conn_id=CLOUD.nodes[0].ssh)
    assert hook.no_host_key_check is False
    assert hook.host_key is not None
    assert hook.host_key.get_base64() == key


def test_the_template_is_made_as_the_labs_connections_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same kinds, same extras: what is missing there was needed in the lab."""
    monkeypatch.setattr(paths, "SSH", tmp_path)
    (tmp_path / "host").mkdir()
    for node in NODES:
        paths.host_key(node.name).with_suffix(".pub").write_text("ssh-ed25519 AAAA")
    lab = all_connections(Secrets(**dict.fromkeys(Secrets.__dataclass_fields__, "x")))
    ours = yaml.safe_load(TEMPLATE.read_text())

    def shape(connection: dict[str, Any]) -> tuple[Any, ...]:
        return connection["conn_type"], tuple(sorted(connection.get("extra", {})))

    assert {shape(each) for each in ours.values()} == {shape(each) for each in lab.values()}


def test_there_is_no_secret_in_it() -> None:
    found = re.findall(r"^ +(?:password|host_key): (.*)$", TEMPLATE.read_text(), re.MULTILINE)
    assert found
    assert [each for each in found if not each.endswith("CHANGE-ME")] == []
