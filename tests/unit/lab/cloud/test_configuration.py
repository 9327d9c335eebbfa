"""What the lab writes: keystone.conf, database accounts, Airflow connections."""

import configparser
from pathlib import Path

import pytest
import yaml

from keystone_rollout.cli.sudoers import node_sudoers
from keystone_rollout.domain.releases.catalogue import Option
from keystone_rollout.hooks.files.cloud_file import load_cloud
from lab import paths
from lab.cloud import configuration, connections, keys
from lab.cloud.secrets import Secrets
from lab.hop import Hop
from lab.releases.builds import choose_builds, find_release
from lab.topology import MEMCACHED_CONTAINERS, NODES, PORTS
from machine.errors import CommandError

SECRETS = Secrets("root-pw", "admin-pw", "keystone-pw", "reader-pw", "api-pw", "seed-key")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the lab's state in a directory of the test."""
    for name in ("SECRETS", "CONNECTIONS", "SSH", "CLIENT_KEY", "KNOWN_HOSTS", "FERNET_KEYS",
                 "CREDENTIAL_KEYS", "CONFIGURATION", "DATABASE", "SUDOERS"):  # fmt: skip
        monkeypatch.setattr(paths, name, tmp_path / getattr(paths, name).relative_to(paths.STATE))
    return tmp_path


def planned(source: str, target: str, own_cache: bool = False) -> Hop:
    """Return an upgrade without looking whether this machine could build it."""
    builds = choose_builds(find_release(source), find_release(target))
    return Hop(*builds, own_cache=own_cache)


def parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


def as_target(number: int) -> configparser.RawConfigParser:
    """Return a release's configuration as the target of the hop from the release before it."""
    hop = planned(str(number - 1), str(number))
    return parsed(configuration.render(hop, hop.target, SECRETS))


@pytest.mark.parametrize("number", range(11, 31))
def test_every_release_gets_fernet_and_the_shared_cache(number: int) -> None:
    parser = as_target(number)
    assert parser["token"]["provider"] == "fernet"
    assert parser["cache"]["memcache_servers"] == "memcached:11211"
    assert parser["database"]["connection"].startswith("mysql+pymysql://keystone:keystone-pw@")


def test_a_target_that_cannot_share_the_cache_gets_the_other_one() -> None:
    hop = planned("newton", "ocata", own_cache=True)
    source, target = (parsed(configuration.render(hop, b, SECRETS)) for b in hop.builds)
    assert source["cache"]["memcache_servers"] == "memcached:11211"
    assert target["cache"]["memcache_servers"] == "memcached-target:11211"


def test_both_caches_are_there_and_emptied_by_a_restore() -> None:
    compose = yaml.safe_load((paths.ROOT / "docker-compose.yaml").read_text())
    cloud = load_cloud("lab")
    named = cloud.node_steps.variables["memcached"].split()
    assert named == ["memcached:11211", "memcached-target:11211"]
    for server in named:
        service = compose["services"][server.split(":")[0]]
        address = service["networks"]["lab"]["ipv4_address"]
        assert "ports" not in service
        assert f"{server.split(':')[0]}:{address}" in compose["x-node"]["extra_hosts"]
        assert service["container_name"] in MEMCACHED_CONTAINERS


@pytest.mark.parametrize(
    ("section", "option", "first", "last"),
    [
        ("DEFAULT", "admin_endpoint", 10, 13),
        ("fernet_receipts", "key_repository", 14, 30),
        ("identity", "crypt_strength", 10, 11),
        ("identity", "password_hash_rounds", 12, 30),
        ("identity", "rolling_upgrade_password_hash_compat", 12, 12),
        ("oslo_policy", "policy_file", 10, 11),
        ("paste_deploy", "config_file", 10, 14),
    ],
)
def test_an_option_is_written_for_the_releases_that_have_it(
    section: str, option: str, first: int, last: int
) -> None:
    found = [n for n in range(11, 31) if as_target(n).has_option(section, option)]
    assert found == list(range(max(first, 11), last + 1))


def test_what_only_the_hop_needs_is_not_in_the_sources_configuration() -> None:
    hop = planned("pike", "queens")
    source, target = (configuration.render(hop, build, SECRETS) for build in hop.builds)
    assert "rolling_upgrade" not in source + target


def test_an_option_goes_into_its_section_and_says_why() -> None:
    text = "[DEFAULT]\nlog_file = x\n[identity]\ndefault_domain_id = default\n"
    one = Option(section="identity", option="compat", value="true", why="old nodes")
    other = Option(section="new", option="some", value="1", why="because")
    text = configuration.with_option(configuration.with_option(text, one), other)
    assert "[identity]\n# old nodes\ncompat = true\ndefault_domain_id" in text
    assert text.endswith("\n\n[new]\n# because\nsome = 1\n")


def test_the_configuration_directory_is_complete_and_private(state: Path) -> None:
    keys.ensure_keys()
    hop = planned("pike", "queens")
    configuration.write_configuration(hop, hop.target, SECRETS)
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
    with pytest.raises(
        CommandError, match="the nodes' sudoers file could not be made: error: "
    ) as why:
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
    lab = [each for each in compose["services"].values() if "lab" in each["profiles"]]
    assert len(lab) == 8
    published = [port for service in lab for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert {int(port.split(":")[1]) for port in published} == set(PORTS)
    assert all(service["profiles"] == ["lab"] for service in lab)
