"""A real Locust believes a server's certificate as the cloud file says, and refuses it in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Tls, TrustedAddress
from keystone_rollout.domain.load.credentials import KeystoneAccount
from keystone_rollout.domain.load.profile import LoadProfile
from keystone_rollout.domain.load.samples import merge
from keystone_rollout.hooks.files.project import PLUGINS
from keystone_rollout.hooks.locust.generator import LoadGeneratorError, LoadGeneratorHook
from keystone_rollout.hooks.trust.certificates import load_arguments, peer_of
from tests.stand_ins.certificates import Authority
from tests.stand_ins.in_memory_keystone import ADMIN_PASSWORD, InMemoryKeystone, serve

PROFILE = LoadProfile(rate=20, users=2, residents=2, timeout=5, name_prefix="load-test")
PATIENCE_SECONDS = 90.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "corp-ca")


@pytest.fixture
def load(tmp_path: Path) -> Iterator[LoadGeneratorHook]:
    hook = LoadGeneratorHook(tmp_path / "load")
    yield hook
    hook.stop(timeout=10)


def start(load: LoadGeneratorHook, keystone: InMemoryKeystone, tls: Tls) -> None:
    account = KeystoneAccount(keystone.auth_url, "admin", ADMIN_PASSWORD)
    load.start(PROFILE, account, run_time_seconds=120, tls=tls)
    load.wait_until_serving(PATIENCE_SECONDS)


def refused(load: LoadGeneratorHook, keystone: InMemoryKeystone, tls: Tls) -> str:
    with pytest.raises(LoadGeneratorError, match="the load did not start: process") as caught:
        start(load, keystone, tls)
    assert keystone.state.requests == []
    return str(caught.value)


def serves(load: LoadGeneratorHook) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while merge(load.samples()).requests < 20:
        assert time.monotonic() < deadline, (load.directory / "locust.log").read_text()
        time.sleep(0.2)
    assert merge(load.samples()).failures == 0, load.failures()


def test_the_load_trusts_the_ca_and_the_name_of_the_cloud_file(
    load: LoadGeneratorHook, authority: Authority
) -> None:
    """By address, with a certificate for a name only."""
    with serve(authority.server("keystone.example.org")) as keystone:
        named = {keystone.address: TrustedAddress(name="keystone.example.org")}
        start(load, keystone, Tls(ca_file=str(authority.file), addresses=named))
        serves(load)


def test_the_load_believes_an_address_that_is_not_verified_by_intent(
    load: LoadGeneratorHook, authority: Authority
) -> None:
    with serve(authority.server("keystone.example.org", days=-1)) as keystone:
        old = TrustedAddress(verify=False, because="an old appliance")
        start(load, keystone, Tls(addresses={keystone.address: old}))
        serves(load)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_load_refuses_an_unknown_ca_whatever_the_environment_says(
    load: LoadGeneratorHook, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(authority.file))
    with serve(authority.server("127.0.0.1")) as keystone:
        text = refused(load, keystone, SYSTEM_TRUST)
        assert (
            f"{keystone.address} is not trusted: read a certificate for 127.0.0.1, signed by "
            "CN=corp-ca, valid "
        ) in text
        assert "Next: name the file of the CA that signed it as tls.ca_file in the cloud" in text


def test_the_load_refuses_a_wrong_name(load: LoadGeneratorHook, authority: Authority) -> None:
    with serve(authority.server("keystone.example.org")) as keystone:
        text = refused(load, keystone, Tls(ca_file=str(authority.file)))
        assert "read a certificate for keystone.example.org" in text
        assert "Allowed: a certificate for 127.0.0.1, valid today" in text


def test_the_load_refuses_an_expired_certificate(
    load: LoadGeneratorHook, authority: Authority
) -> None:
    with serve(authority.server("127.0.0.1", days=-1)) as keystone:
        text = refused(load, keystone, Tls(ca_file=str(authority.file)))
        assert "(certificate has expired)" in text


@pytest.mark.parametrize("changed", ["another CA", "another name", "not verified"])
def test_a_server_that_changes_its_certificate_meanwhile_gets_no_request(
    load: LoadGeneratorHook, authority: Authority, tmp_path: Path, changed: str
) -> None:
    """Each connection is verified, and not only the first look at the start."""
    context, verified = authority.server("127.0.0.1"), changed != "not verified"
    by = authority if changed == "another name" else Authority(tmp_path / "new", "stranger")
    with serve(context) as keystone:
        start(load, keystone, Tls(ca_file=str(authority.file)) if verified else Tls(addresses={
            keystone.address: TrustedAddress(verify=False, because="shows that the test can fail")
        }))  # fmt: skip
        context.load_cert_chain(by.issue("other.example.org" if by is authority else "127.0.0.1"))
        keystone.state.faults.add("dead")  # ends the connections that there are
        time.sleep(1)
        keystone.state.faults.remove("dead")
        before = len(keystone.state.requests)
        time.sleep(3)
        assert (len(keystone.state.requests) == before) is verified
        seen = {str(json.loads(line)["error"]) for line in load.failures().splitlines()}
        assert any("CERTIFICATE_VERIFY_FAILED" in each for each in seen) is verified, seen


def test_this_machines_own_list_is_not_chosen_by_a_variable(authority: Authority) -> None:
    code = "from keystone_rollout.hooks.trust.certificates import SYSTEM_CA_FILES as f; print(*f)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "SSL_CERT_FILE": str(authority.file), "PYTHONPATH": str(PLUGINS)},
    )  # fmt: skip
    assert "/etc/ssl/certs/ca-certificates.crt" in done.stdout.split()
    assert str(authority.file) not in done.stdout.split()


def test_plain_http_says_nothing_of_certificates() -> None:
    assert load_arguments(SYSTEM_TRUST, "http://127.0.0.1:5000/v3") == {}
    assert peer_of(SYSTEM_TRUST, "http://127.0.0.1:5000/v3") is None


def test_the_address_of_a_url_is_its_host_and_port() -> None:
    peer = peer_of(SYSTEM_TRUST, "HTTPS://Keystone.Example.org/v3")
    assert peer is not None
    assert (peer.address, peer.name) == ("keystone.example.org:443", "keystone.example.org")
    peer = peer_of(SYSTEM_TRUST, "https://[2001:db8::1]:5000/v3")
    assert peer is not None
    assert (peer.address, peer.name) == ("[2001:db8::1]:5000", "2001:db8::1")
