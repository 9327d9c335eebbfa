"""keystoneauth1 against a real server with real certificates: the cloud file alone is believed."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Tls, TrustedAddress
from keystone_rollout.domain.load.credentials import KeystoneAccount
from keystone_rollout.hooks.keystone.acknowledged_writes import AcknowledgedWritesHook
from keystone_rollout.hooks.keystone.api import KeystoneApiHook, ProofFailed
from tests.stand_ins.certificates import Authority
from tests.stand_ins.in_memory_keystone import ADMIN_PASSWORD, InMemoryKeystone, serve


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "corp-ca")


@pytest.fixture
def keystone(authority: Authority) -> Iterator[InMemoryKeystone]:
    with serve(authority.server("keystone.example.org", "127.0.0.1")) as running:
        yield running


def hook(keystone: InMemoryKeystone, tls: Tls, patch: pytest.MonkeyPatch) -> KeystoneApiHook:
    connection = {"host": keystone.auth_url, "login": "admin", "password": ADMIN_PASSWORD}
    patch.setenv("AIRFLOW_CONN_TEST_API", json.dumps({"conn_type": "generic", **connection}))
    return KeystoneApiHook("test_api", tls=tls)


def refused(keystone: InMemoryKeystone, tls: Tls, patch: pytest.MonkeyPatch) -> str:
    with pytest.raises(ProofFailed) as caught:
        hook(keystone, tls, patch).issue_token()
    assert keystone.state.requests == []
    return str(caught.value)


def test_the_right_ca_passes(
    keystone: InMemoryKeystone, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = hook(keystone, Tls(ca_file=str(authority.file)), monkeypatch)
    assert api.validate_token(api.issue_token()) == "admin"


def test_an_unknown_ca_is_refused(
    keystone: InMemoryKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        f"{keystone.address} is not trusted: read a certificate for keystone.example.org, "
        "127.0.0.1, signed by CN=corp-ca, valid "
    ) in (text := refused(keystone, SYSTEM_TRUST, monkeypatch))
    assert (
        "Allowed: a certificate for 127.0.0.1, valid today, signed by a CA of this machine's own "
        "list of CAs. Nothing was sent. Next: name the file of the CA that signed it as "
        "tls.ca_file in the cloud file"
    ) in text


def test_another_ca_than_the_named_one_is_refused(
    keystone: InMemoryKeystone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path, "corp-ca")
    text = refused(keystone, Tls(ca_file=str(other.file)), monkeypatch)
    assert f"signed by a CA of {other.file}. Nothing was sent." in text


def test_a_name_that_differs_is_refused_and_a_name_to_expect_is_not(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = Tls(ca_file=str(authority.file))
    with serve(authority.server("keystone.example.org")) as keystone:
        text = refused(keystone, tls, monkeypatch)
        assert "read a certificate for keystone.example.org, signed by CN=corp-ca" in text
        assert "Allowed: a certificate for 127.0.0.1, valid today" in text
        assert (
            f'name what its certificate bears as `name` of tls.addresses."{keystone.address}"'
            in (text)
        )
        named = {keystone.address: TrustedAddress(name="keystone.example.org")}
        tls = Tls(ca_file=str(authority.file), addresses=named)
        assert hook(keystone, tls, monkeypatch).issue_token()


def test_only_the_expected_name_is_right_for_an_address_that_has_one(
    keystone: InMemoryKeystone, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate bears the address, too: that does not help if another name is expected."""
    named = {keystone.address: TrustedAddress(name="other.example.org")}
    text = refused(keystone, Tls(ca_file=str(authority.file), addresses=named), monkeypatch)
    assert "Allowed: a certificate for other.example.org" in text


def test_an_expired_certificate_is_refused(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(authority.server("127.0.0.1", days=-1)) as keystone:
        text = refused(keystone, Tls(ca_file=str(authority.file)), monkeypatch)
        assert "(certificate has expired)" in text
        assert f"Next: renew the certificate of {keystone.address}" in text


def test_an_address_that_is_not_verified_by_intent_passes_and_no_other_one(
    keystone: InMemoryKeystone, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = TrustedAddress(verify=False, because="an old appliance")
    assert hook(keystone, Tls(addresses={keystone.address: old}), monkeypatch).issue_token()
    with serve(authority.server("127.0.0.1")) as another:
        assert "is not trusted" in refused(
            another, Tls(addresses={keystone.address: old}), monkeypatch
        )


def test_the_environment_has_no_say(
    keystone: InMemoryKeystone, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(authority.file))
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{nobody.getsockname()[1]}")
        assert "is not trusted" in refused(keystone, SYSTEM_TRUST, monkeypatch)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
        assert hook(keystone, Tls(ca_file=str(authority.file)), monkeypatch).issue_token()


def test_the_list_that_requests_brings_along_is_not_believed(
    keystone: InMemoryKeystone, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(authority.file))
    assert "is not trusted" in refused(keystone, SYSTEM_TRUST, monkeypatch)


def test_a_missing_ca_file_is_named(
    keystone: InMemoryKeystone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = hook(keystone, Tls(ca_file="no/ca.pem"), monkeypatch)
    with pytest.raises(ProofFailed, match=r"tls\.ca_file of the cloud file is no/ca\.pem, and"):
        api.issue_token()
    (tmp_path / "ca.pem").write_text("no certificate")
    api = hook(keystone, Tls(ca_file=str(tmp_path / "ca.pem")), monkeypatch)
    with pytest.raises(ProofFailed, match="no certificate can be read from"):
        api.issue_token()


def test_what_does_not_speak_tls_is_not_called_untrusted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as plain:
        api = hook(plain, Tls(ca_file=str(authority.file)), monkeypatch)
        assert api.issue_token(), "plain HTTP needs no section tls"
        api.url = api.url.replace("http:", "https:")
        with pytest.raises(ProofFailed) as caught:
            api.issue_token()
        assert "is not trusted" not in str(caught.value)


def test_the_check_of_acknowledged_writes_trusts_alike(
    keystone: InMemoryKeystone, authority: Authority, tmp_path: Path
) -> None:
    account = KeystoneAccount(keystone.auth_url, "admin", ADMIN_PASSWORD)
    tls = Tls(ca_file=str(authority.file))
    assert AcknowledgedWritesHook(account, tls=tls).check(tmp_path / "none").created == 0
    with pytest.raises(Exception, match=rf"{keystone.address} is not trusted: read a certificate"):
        AcknowledgedWritesHook(account).check(tmp_path / "none")


def test_a_server_of_these_tests_does_speak_tls(keystone: InMemoryKeystone) -> None:
    assert isinstance(keystone.server.socket, ssl.SSLSocket)
    assert keystone.auth_url.startswith("https://127.0.0.1:")
