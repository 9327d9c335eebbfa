"""Drivers and MariaDB's own client against a server that speaks TLS: each obeys the cloud file."""

from __future__ import annotations

import io
import json
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk import Connection

from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Tls, TrustedAddress
from keystone_rollout.hooks.database.client import DatabaseClient
from keystone_rollout.hooks.database.connection import DatabaseHook
from keystone_rollout.hooks.trust.certificates import TrustError
from keystone_rollout.hooks.trust.databases import client_options, trusting
from tests.stand_ins.certificates import Authority
from tests.stand_ins.greeting_database import GreetingDatabase, greeting_database

DRIVERS = ("mysqlclient", "mysql-connector-python")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "corp-ca")


def named(server: GreetingDatabase, **trust: object) -> dict[str, TrustedAddress]:
    return {f"127.0.0.1:{server.port}": TrustedAddress.model_validate(trust)}


Connect = Callable[[GreetingDatabase, Tls], None]


@pytest.fixture(params=[*DRIVERS, "mariadb"])
def connect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Connect with one of the drivers, or with the client that loads a dump."""

    def connected(server: GreetingDatabase, tls: Tls) -> None:
        with_driver = request.param in DRIVERS
        monkeypatch.setenv("AIRFLOW_CONN_A_DATABASE", json.dumps({
            "conn_type": "mysql", "host": "127.0.0.1", "port": server.port, "login": "me",
            "password": "word", "extra": {"client": request.param} if with_driver else {},
        }))  # fmt: skip
        hook = DatabaseHook("a_database", tls)
        if with_driver:
            hook.get_conn().close()
            return
        assert shutil.which("mariadb"), "Debian package mariadb-client is needed"
        with DatabaseClient(hook)._options() as options:
            command = ["mariadb", f"--defaults-extra-file=/dev/fd/{options}", "-e", "DO 1"]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, pass_fds=[options]
            )
        if done.returncode:
            raise TrustError(f"{server.port} is not trusted: {done.stderr}")

    return connected


def refused(connect: Connect, server: GreetingDatabase, tls: Tls) -> str:
    with pytest.raises(TrustError) as caught:
        connect(server, tls)
    assert server.logins == [], "the password has left"
    return str(caught.value)


def test_the_right_ca_passes(connect: Connect, authority: Authority) -> None:
    with greeting_database(authority.server("127.0.0.1")) as server:
        connect(server, Tls(ca_file=str(authority.file), addresses=named(server)))
        assert server.logins == [True]


def test_an_unknown_ca_is_refused(connect: Connect, authority: Authority) -> None:
    with greeting_database(authority.server("127.0.0.1")) as server:
        assert f"{server.port} is not trusted" in refused(
            connect, server, Tls(addresses=named(server))
        )


def test_another_name_is_refused(connect: Connect, authority: Authority) -> None:
    with greeting_database(authority.server("db.example.org")) as server:
        tls = Tls(ca_file=str(authority.file), addresses=named(server))
        assert f"{server.port} is not trusted" in refused(connect, server, tls)


def test_an_expired_certificate_is_refused(connect: Connect, authority: Authority) -> None:
    with greeting_database(authority.server("127.0.0.1", days=-1)) as server:
        tls = Tls(ca_file=str(authority.file), addresses=named(server))
        assert f"{server.port} is not trusted" in refused(connect, server, tls)


def test_a_server_without_tls_is_refused_if_it_is_asked_for(
    connect: Connect, authority: Authority
) -> None:
    with greeting_database(None) as server:
        tls = Tls(ca_file=str(authority.file), addresses=named(server))
        refused(connect, server, tls)


def test_an_address_that_is_not_verified_by_intent_passes(
    connect: Connect, authority: Authority
) -> None:
    with greeting_database(authority.server("db.example.org", days=-1)) as server:
        connect(server, Tls(addresses=named(server, verify=False, because="an old appliance")))
        assert server.logins == [True]


def test_a_database_that_nobody_names_is_spoken_to_as_before(connect: Connect) -> None:
    with greeting_database(None) as server:
        connect(server, SYSTEM_TRUST)
        assert server.logins == [False]


def test_a_driver_that_refuses_says_what_is_allowed_and_what_to_do(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with greeting_database(authority.server("db.example.org")) as server:
        monkeypatch.setenv("AIRFLOW_CONN_A_DATABASE", f"mysql://me:word@127.0.0.1:{server.port}/")
        hook = DatabaseHook("a_database", Tls(ca_file=str(authority.file), addresses=named(server)))
        with pytest.raises(TrustError) as caught:
            hook.get_first("SELECT 1")
    text = str(caught.value)
    assert text.startswith(f"127.0.0.1:{server.port} is not trusted: read ")
    assert text.endswith(
        f"Allowed: a certificate for 127.0.0.1, valid today, signed by a CA of {authority.file}. "
        "Nothing was sent. Next: name its CA as tls.ca_file in the cloud file, and as the "
        "connection's host a name that its certificate bears"
    )


def connection(**extra: object) -> Connection:
    return Connection(
        conn_id="db",
        conn_type="mysql",
        host="db.example.org",
        login="me",
        extra=json.dumps(extra) if extra else None,
    )


FILE = str(Path(ssl.__file__))
"""Any file: nothing reads it here."""


@pytest.mark.parametrize(
    ("extra", "asked"),
    [
        ({}, False),
        ({"ssl_disabled": True}, False),
        ({"ssl_mode": "DISABLED"}, False),
        ({"ssl_mode": "PREFERRED", "ssl_ca": "x"}, False),
        ({"ssl_mode": "REQUIRED"}, True),
        ({"ssl": {"ca": "/elsewhere.pem"}}, True),
        ({"ssl_ca": "/elsewhere.pem"}, True),
    ],
)
def test_a_connections_extra_asks_for_tls_and_has_no_say_in_trust(
    extra: dict[str, object], asked: bool
) -> None:
    before = connection(**extra)
    after = trusting(before, Tls(ca_file=FILE))
    if not asked:
        assert after is before
        return
    assert after.extra_dejson == {"ssl": {"ca": FILE}, "ssl_mode": "VERIFY_IDENTITY"}
    assert before.extra_dejson == extra
    assert client_options(before, Tls(ca_file=FILE)) == (
        f'ssl-ca="{FILE}"\nloose-ssl=1\nloose-ssl-verify-server-cert=1\n'
        "loose-ssl-mode=VERIFY_IDENTITY\n"
    )


def test_a_clients_own_certificate_is_kept() -> None:
    own = {"cert": "/own.pem", "key": "/own.key"}
    tls = Tls(ca_file=FILE)
    for given in ({**own, "ca": "/x"}, json.dumps({**own, "ca": "/x"})):
        assert trusting(connection(ssl=given), tls).extra_dejson["ssl"] == {**own, "ca": FILE}
    kept = trusting(
        connection(client=DRIVERS[1], ssl_ca="/x", ssl_cert="/own.pem", ssl_key="/own.key"), tls
    )
    assert kept.extra_dejson == {
        "client": DRIVERS[1], "ssl_cert": "/own.pem", "ssl_key": "/own.key", "ssl_ca": FILE,
        "ssl_verify_cert": True, "ssl_verify_identity": True,
    }  # fmt: skip


def test_another_name_cannot_be_expected_of_a_database() -> None:
    tls = Tls(addresses={"db.example.org:3306": TrustedAddress(name="galera.example.org")})
    with pytest.raises(TrustError, match=r"Next: make galera\.example\.org the host of connection"):
        trusting(connection(), tls)


def test_the_dump_has_the_options_too(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("AIRFLOW_CONN_A_DATABASE", "mysql://me:word@db.example.org/")
    (tmp_path / "mariadb-dump").write_text(f'#!/bin/sh\ncp "${{1#*=}}" {tmp_path}/options\n')
    (tmp_path / "mariadb-dump").chmod(0o755)
    tls = Tls(ca_file=str(authority.file), addresses={"db.example.org:3306": TrustedAddress()})
    with (tmp_path / "dump").open("wb") as stream:
        DatabaseClient(DatabaseHook("a_database", tls)).dump(["keystone"], stream)
    lines = (tmp_path / "options").read_text().splitlines()
    assert lines[0] == "[client]"
    assert lines[-4] == f'ssl-ca="{authority.file}"'
    DatabaseClient(DatabaseHook("a_database")).dump(["keystone"], io.BytesIO())
    assert "ssl" not in (tmp_path / "options").read_text()
