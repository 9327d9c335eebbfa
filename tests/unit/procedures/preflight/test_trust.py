"""Preflight finds what would be refused, and a name in section `tls` that nothing goes by."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.cloud.tls import Tls, TrustedAddress
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.procedures.preflight.checks import PreflightChecks
from keystone_rollout.procedures.preflight.trust import TrustChecks
from keystone_rollout.procedures.run.run import RolloutRun
from tests.free_port import free_port
from tests.stand_ins.certificates import Authority
from tests.stand_ins.in_memory_keystone import InMemoryKeystone, serve
from tests.stand_ins.systems import run_with


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "corp-ca")


def checks_of(checked: Cloud) -> TrustChecks:
    return TrustChecks(RolloutRun(checked, SimpleNamespace(run_id="run-1"), "preflight"))


def cloud(api: str, nodes: list[str], tls: Tls, patch: pytest.MonkeyPatch) -> Cloud:
    lab = load_cloud("lab")
    patch.setenv("AIRFLOW_CONN_LAB_KEYSTONE_API", json.dumps({"conn_type": "generic", "host": api}))
    for name in ("READER", "KEYSTONE", "ADMIN"):
        patch.setenv(f"AIRFLOW_CONN_LAB_DATABASE_{name}", "mysql://me:word@DB.example.org/")
    changed = [
        node.model_copy(update={"url": url}) for node, url in zip(lab.nodes, nodes, strict=False)
    ]
    return lab.model_copy(update={"nodes": changed, "tls": tls})


def test_every_https_address_is_asked_once(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serve(authority.server("127.0.0.1")) as good,
        serve(authority.server("other.example.org")) as wrong,
        serve() as plain,
    ):
        urls = [good.auth_url, wrong.auth_url, plain.auth_url]
        tls = Tls(ca_file=str(authority.file))
        found = checks_of(cloud(good.auth_url, urls, tls, monkeypatch)).run()
    assert [(each.ok, each.object, each.check) for each in found] == [
        (True, good.address, "certificate"), (False, wrong.address, "certificate"),
    ]  # fmt: skip
    assert found[0].measured == "trusted"
    assert found[1].measured.startswith("a certificate for other.example.org, signed by CN=corp-ca")
    assert found[1].limit == (
        f"a certificate for 127.0.0.1, valid today, signed by a CA of {authority.file}"
    )
    assert found[1].next_step.startswith(f"if {wrong.address} is the right machine, name what")
    assert found[1].consequence == "nothing was touched"


def test_what_is_not_verified_by_intent_is_listed_with_its_reason(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(authority.server("other.example.org")) as old:
        tls = Tls(addresses={old.address: TrustedAddress(verify=False, because="an old one")})
        found = checks_of(cloud(old.auth_url, [old.auth_url], tls, monkeypatch)).run()
    assert [(each.ok, each.check, each.measured) for each in found] == [
        (True, "certificate", "not verified, because: an old one"),
        (True, "tls address", "in use"),
    ]


def test_an_address_that_nothing_connects_to_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a typing error a database would be spoken to without TLS."""
    tls = Tls(addresses={"db.example.org:3306": TrustedAddress(), "bd:3306": TrustedAddress()})
    found = checks_of(cloud("http://h:1/v3", ["http://h:2/v3"], tls, monkeypatch)).run()
    assert [(each.ok, each.object) for each in found] == [
        (True, "db.example.org:3306"), (False, "bd:3306"),
    ]  # fmt: skip
    assert str(found[1]).endswith(
        "correct it in tls.addresses of the cloud file, or remove it there"
    )
    assert (found[1].measured, found[1].limit) == (
        "nothing connects to it", "one of db.example.org:3306",
    )  # fmt: skip


def test_nobody_who_answers_is_a_finding_unless_the_server_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = f"https://127.0.0.1:{free_port()}/v3"
    checks = checks_of(cloud("http://h:1/v3", [away], Tls(ca_file="no.pem"), monkeypatch))
    (found,) = checks.run()
    assert not found.ok
    assert found.measured.startswith("tls.ca_file of the cloud file is no.pem, and there is no")
    checks.cloud = checks.cloud.model_copy(update={"tls": Tls()})
    (found,) = checks.run()
    assert "Connection refused" in found.measured
    assert checks.run([checks.cloud.nodes[0].server]) == []


def test_plain_http_has_no_question(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = cloud("http://127.0.0.1:5000/v3", ["http://127.0.0.1:5001/v3"], Tls(), monkeypatch)
    assert checks_of(lab).run() == []


def test_preflight_asks_it_with_all_the_rest(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keystone: InMemoryKeystone
    with serve(authority.server("127.0.0.1")) as keystone:
        checked = cloud(keystone.auth_url, [], Tls(), monkeypatch)
        checks = PreflightChecks(run_with(checked, tmp_path))
        (check,) = (check for name, check in checks._checks() if name == "certificates")
        assert [(each.ok, each.check) for each in check()] == [(False, "certificate")]
