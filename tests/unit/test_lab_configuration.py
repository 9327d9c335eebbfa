"""What the lab writes: keystone.conf, database accounts, Airflow connections."""

import configparser
from pathlib import Path

import pytest
import yaml

from hooks.node_sudoers import node_sudoers
from lab import configuration, connections, keys, paths
from lab.catalogue import RELEASES, find_release
from lab.errors import LabError
from lab.secrets import Secrets
from lab.topology import NODES, PORTS

SECRETS = Secrets("root-pw", "admin-pw", "keystone-pw", "reader-pw", "api-pw", "seed-key")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the lab's state in a directory of the test."""
    for name in ("SECRETS", "CONNECTIONS", "SSH", "CLIENT_KEY", "KNOWN_HOSTS", "FERNET_KEYS",
                 "CREDENTIAL_KEYS", "CONFIGURATION", "DATABASE", "SUDOERS"):  # fmt: skip
        monkeypatch.setattr(paths, name, tmp_path / getattr(paths, name).relative_to(paths.STATE))
    return tmp_path


def read(release: str, mixed: bool = False) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(configuration.render(find_release(release), SECRETS, mixed_with_older=mixed))
    return parser


@pytest.mark.parametrize("release", [release.version for release in RELEASES])
def test_every_release_gets_fernet_and_the_shared_cache(release: str) -> None:
    parser = read(release)
    assert parser["token"]["provider"] == "fernet"
    assert parser["cache"]["memcache_servers"] == "memcached:11211"
    assert parser["database"]["connection"].startswith("mysql+pymysql://keystone:keystone-pw@")


def test_settings_follow_the_release() -> None:
    assert "paste_deploy" in read("12.0.3")
    assert "paste_deploy" not in read("18.1.0")
    assert "fernet_receipts" not in read("13.0.4")
    assert "fernet_receipts" in read("18.1.0")
    compat = "rolling_upgrade_password_hash_compat"
    assert compat not in read("12.0.3")["identity"]
    assert read("12.0.3", mixed=True)["identity"][compat] == "true"


def test_the_configuration_directory_is_complete_and_private(state: Path) -> None:
    keys.ensure_keys()
    configuration.write_configuration(find_release("13.0.4"), SECRETS, mixed_with_older=False)
    assert [path.name for path in (state / "etc").iterdir()] == ["13.0.4"]
    directory = state / "etc" / "13.0.4"
    assert directory.stat().st_mode & 0o077 == 0
    assert (directory / "keystone.conf").stat().st_mode & 0o077 == 0
    for key in ("0", "1"):
        ours = (directory / "fernet-keys" / key).read_bytes()
        assert ours == (state / "fernet-keys" / key).read_bytes()
        assert len(ours) == 44


def test_accounts_are_one_statement_a_line_and_keystone_has_no_global_privilege(
    state: Path,
) -> None:
    configuration.write_accounts(SECRETS)
    path = state / "database" / "accounts.sql"
    lines = path.read_text().splitlines()
    assert path.stat().st_mode & 0o077 == 0
    assert all(line.endswith(";") and line.count(";") == 1 for line in lines)
    grants = [line for line in lines if line.startswith("GRANT") and "TO 'keystone'" in line]
    assert grants == ["GRANT ALL PRIVILEGES ON keystone.* TO 'keystone'@'%';"]


def test_the_nodes_get_the_file_that_an_operator_would_print(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_CLOUDS", "/nowhere")
    configuration.write_sudoers(find_release("18.1.0"), find_release("19.0.1"))
    monkeypatch.delenv("ROLLOUT_CLOUDS")
    text = (state / "sudoers").read_text()
    assert text == node_sudoers("lab", "rollout", "18.1.0", "19.0.1")
    assert "\nrollout ALL=(root) " in text


def test_a_pair_that_is_no_upgrade_has_no_privileges(state: Path) -> None:
    with pytest.raises(LabError, match="the nodes' sudoers file could not be made: error: ") as why:
        configuration.write_sudoers(find_release("12.0.3"), find_release("18.1.0"))
    assert "skips releases that cannot be skipped" in str(why.value)
    assert not (state / "sudoers").exists()


def test_every_node_is_given_its_privileges() -> None:
    compose = yaml.safe_load((paths.ROOT / "docker-compose.yaml").read_text())
    mount = f"./{paths.SUDOERS.relative_to(paths.ROOT)}:/lab/sudoers:ro"
    assert all(mount in compose["services"][node.name]["volumes"] for node in NODES)
    assert not (paths.IMAGES / "node" / "sudoers").exists()


def test_connections_are_pinned_to_the_nodes_host_keys(state: Path) -> None:
    keys.ensure_keys()
    connections.write_connections(SECRETS)
    written = yaml.safe_load((state / "connections.yaml").read_text())
    known = (state / "ssh" / "known_hosts").read_text()
    pinned = set()
    for node in NODES:
        connection = written[f"lab_{node.name.replace('-', '_')}"]
        pinned.add(connection["extra"]["host_key"])
        assert connection["extra"]["no_host_key_check"] is False
        assert f"[127.0.0.1]:{connection['port']} {connection['extra']['host_key']}\n" in known
    assert len(pinned) == len(NODES)
    assert written["lab_database_keystone"]["password"] == "keystone-pw"
    assert "schema" not in written["lab_database_admin"]
    assert (state / "connections.yaml").stat().st_mode & 0o077 == 0


def test_keys_survive_a_second_start(state: Path) -> None:
    keys.ensure_keys()
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    keys.ensure_keys()
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_compose_publishes_the_labs_ports_on_the_loopback_address_only() -> None:
    compose = yaml.safe_load((paths.ROOT / "docker-compose.yaml").read_text())
    published = [
        port for service in compose["services"].values() for port in service.get("ports", [])
    ]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert {int(port.split(":")[1]) for port in published} == set(PORTS)
    assert all(service["profiles"] == ["lab"] for service in compose["services"].values())
