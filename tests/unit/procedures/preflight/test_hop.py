"""What a hop needs beyond the procedure is held against the configurations and the nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_rollout.domain.cloud.model import Cloud, cloud_from_data
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.node.all_nodes import AllNodes
from keystone_rollout.hooks.node.machine import NodeMachine, StepFailed
from keystone_rollout.procedures.preflight.hop import HopChecks
from tests.stand_ins.local_node import LocalNode
from tests.stand_ins.systems import run_with


def cloud(folder: Path, source: str, target: str, on_nodes: str = "") -> Cloud:
    """Return a cloud whose nodes run the source with a configuration of the test's own."""
    data = load_cloud("lab").model_dump(by_alias=True)
    data.update(source=source, target=target)
    data["upgrade_container"]["configuration"] = str(folder)
    data["node_steps"]["configuration"] = str(folder)
    data["node_steps"]["override"] = {
        "report_cache": f"printf '[cache]\\n{on_nodes}\\n'",
    }
    return cloud_from_data(data)


def checks(folder: Path, subject: Cloud) -> HopChecks:
    machines = {
        node.name: NodeMachine(subject, node, LocalNode(folder))  # type: ignore[arg-type]
        for node in subject.nodes
    }
    return HopChecks(run_with(subject, folder, nodes=AllNodes(subject, machines)))


def run(hop: HopChecks, release: str | None = None) -> list[Verdict]:
    """Run the checks while every node has a release installed, by default the source."""
    return hop.run(dict.fromkeys(hop.cloud.node_names, release or hop.cloud.source))


def configure(folder: Path, text: str) -> None:
    (folder / "keystone.conf").write_text(text)


def cache_verdict(found: list[Verdict]) -> Verdict:
    return next(verdict for verdict in found if verdict.check == "memcached")


def test_most_hops_need_nothing(tmp_path: Path) -> None:
    configure(tmp_path, "[cache]\nmemcache_servers = m:11211\n")
    hop = checks(tmp_path, cloud(tmp_path, "12.0.3", "13.0.4", "memcache_servers = m:11211"))
    assert [(v.ok, v.check, v.measured) for v in run(hop)] == [
        (True, "database URL", "holds no %"),
        (True, "memcached", "shared by both releases: m:11211"),
    ]
    assert hop.notes == []


def test_a_node_that_runs_the_sources_package_is_asked_for_its_cache(tmp_path: Path) -> None:
    configure(tmp_path, "[cache]\nmemcache_servers = a:1\n")
    subject = cloud(tmp_path, "2:10.0.3-0ubuntu1", "11.0.4", "memcache_servers = a:1")
    assert not cache_verdict(run(checks(tmp_path, subject), "10.0.3")).ok


@pytest.mark.parametrize(
    ("on_nodes", "target", "shared"),
    [
        ("memcache_servers = a:1, b:1", "memcache_servers = b:1,c:1", "b:1"),
        ("", "", "localhost:11211"),
    ],
)
def test_newton_and_ocata_are_refused_on_one_memcached(
    tmp_path: Path, on_nodes: str, target: str, shared: str
) -> None:
    configure(tmp_path, f"[cache]\n{target}\n")
    verdict = cache_verdict(run(checks(tmp_path, cloud(tmp_path, "10.0.3", "11.0.4", on_nodes))))
    assert (verdict.ok, verdict.measured) == (False, f"shared by both releases: {shared}")
    assert "half of all requests fail" in verdict.limit
    assert "name another memcached in keystone.conf of 11.0.4" in verdict.next_step


def test_a_memcached_for_each_release_is_told_with_what_it_costs(tmp_path: Path) -> None:
    configure(tmp_path, "[cache]\nmemcache_servers = new:11211\nexpiration_time = 900\n")
    hop = checks(tmp_path, cloud(tmp_path, "10.0.3", "11.0.4", "memcache_servers = old:11211"))
    assert cache_verdict(run(hop)).ok
    assert hop.notes[0].startswith("By design of 10.0.3 (Newton) → 11.0.4 (Ocata)")
    assert "identity provider" in hop.notes[0]
    assert hop.notes[1:] == [
        "While both releases run, 10.0.3 uses memcached old:11211 and 11.0.4 uses new:11211: "
        "neither empties the other's. What one of them revokes, disables or deletes may stay valid "
        "on nodes of the other for up to 900 s ([cache] expiration_time)."
    ]


@pytest.mark.parametrize(
    ("line", "measured"),
    [("", "not there"), ("rolling_upgrade_password_hash_compat = false", "false")],
)
def test_an_option_that_the_hop_depends_on_is_missed(
    tmp_path: Path, line: str, measured: str
) -> None:
    configure(tmp_path, f"[identity]\n{line}\n")
    verdict = run(checks(tmp_path, cloud(tmp_path, "11.0.4", "12.0.3")))[0]
    assert (verdict.ok, verdict.object) == (
        False,
        "[identity] rolling_upgrade_password_hash_compat",
    )
    assert verdict.measured == f"{tmp_path}: {measured}"
    assert "= true: nodes on Ocata do not know the hashes" in verdict.limit


def test_an_option_that_is_there_is_enough(tmp_path: Path) -> None:
    configure(tmp_path, "[identity]\nrolling_upgrade_password_hash_compat = True\n")
    assert run(checks(tmp_path, cloud(tmp_path, "11.0.4", "12.0.3")))[0].ok
    configure(tmp_path, "[fernet_receipts]\nkey_repository = /etc/keystone/keys\n")
    assert run(checks(tmp_path, cloud(tmp_path, "14.2.0", "15.0.1")))[0].ok


def test_nodes_that_were_upgraded_before_say_nothing_of_the_source(tmp_path: Path) -> None:
    configure(tmp_path, "[cache]\nmemcache_servers = new:11211\n")
    subject = cloud(tmp_path, "10.0.3", "11.0.4", "memcache_servers = new:11211")
    found = run(checks(tmp_path, subject), "11.0.4")
    assert cache_verdict(found).measured == "none is shared"


@pytest.mark.parametrize(
    ("source", "target", "ok"), [("20.0.1", "21.0.1", True), ("21.0.1", "22.0.2", False)]
)
def test_a_url_that_alembic_cannot_read_is_refused_without_being_shown(
    tmp_path: Path, source: str, target: str, ok: bool
) -> None:
    configure(tmp_path, "[database]\nconnection = mysql+pymysql://keystone:s3%40cret@db/keystone\n")
    found = run(checks(tmp_path, cloud(tmp_path, source, target)))
    verdict = next(verdict for verdict in found if verdict.check == "database URL")
    assert (verdict.ok, verdict.measured) == (ok, "holds a %")
    assert "s3" not in str(verdict)


def test_what_else_is_known_of_a_hop_is_told(tmp_path: Path) -> None:
    configure(tmp_path, "")
    hop = checks(tmp_path, cloud(tmp_path, "16.0.2", "17.0.1"))
    assert all(verdict.ok for verdict in run(hop))
    assert hop.notes[0].startswith("Train on Python 2.7 and Ussuri on Python 3 share a memcached")


def test_a_node_that_does_not_say_what_it_runs_is_left_to_the_check_of_releases(
    tmp_path: Path,
) -> None:
    configure(tmp_path, "")
    verdict = cache_verdict(checks(tmp_path, cloud(tmp_path, "10.0.3", "11.0.4")).run({}))
    assert verdict.measured == "none is shared"


def test_a_cache_that_cannot_be_read_is_no_proof(tmp_path: Path) -> None:
    configure(tmp_path, "")
    data = cloud(tmp_path, "10.0.3", "11.0.4").model_dump(by_alias=True)
    data["node_steps"]["override"]["report_cache"] = "echo refused >&2; exit 1"
    with pytest.raises(StepFailed, match="step report_cache ended with exit status 1"):
        run(checks(tmp_path, cloud_from_data(data)))
