"""The database URL gets a lock wait limit, or a refusal that shows nothing of it."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.schema.database_url import DatabaseUrlError, limit_lock_wait

URL = "mysql+pymysql://keystone:s3cret@db.example.org:3306/keystone"
ADDED = "init_command=SET+SESSION+lock_wait_timeout=5"


@pytest.mark.parametrize(
    ("url", "limited"),
    [
        (URL, f"{URL}?{ADDED}"),
        (f"{URL}?", f"{URL}?{ADDED}"),
        (f"{URL}?charset=utf8", f"{URL}?charset=utf8&{ADDED}"),
        (f"{URL}?charset=utf8&", f"{URL}?charset=utf8&{ADDED}"),
        ("mysql://k:p@/keystone?unix_socket=/run/db", None),
        ("mysql+pymysql://k:pa?ss&word@db/keystone", None),
        ("mysql+pymysql://k:pa/ss:w@rd@db/keystone", None),
        ("mysql+pymysql://db/keystone", None),
        ("mariadb+pymysql://k:p@[2001:db8::1]:3306/keystone", None),
    ],
)
def test_a_url_without_init_command_gets_one(url: str, limited: str | None) -> None:
    found = limit_lock_wait(url, 5)
    separator = "&" if "socket" in url else "?"
    assert found.text == (limited or f"{url}{separator}{ADDED}")
    assert (found.seconds, found.own) == (5, False)


@pytest.mark.parametrize(
    "command",
    ["SET+NAMES+utf8", "SET SESSION sql_mode=''", "SET+SESSION+wait_timeout%3D9"],
)
def test_another_set_is_extended_in_place(command: str) -> None:
    url = f"{URL}?a=b&init_command={command}&charset=utf8"
    assert limit_lock_wait(url, 5).text == (
        f"{URL}?a=b&init_command={command},+SESSION+lock_wait_timeout=5&charset=utf8"
    )


def test_what_is_added_needs_no_percent_sign() -> None:
    """From Zed on, Keystone hands the URL to a parser that stumbles over one."""
    for url in (URL, f"{URL}?a=b", f"{URL}?init_command=SET+NAMES+utf8"):
        assert "%" not in limit_lock_wait(url, 5).text


@pytest.mark.parametrize(
    ("command", "seconds"),
    [
        ("SET+SESSION+lock_wait_timeout=30", 30),
        ("SET%20sql_mode%3D%27%27,%20LOCK_WAIT_TIMEOUT%20%3D%207", 7),
        ("SELECT+1;SET+lock_wait_timeout:=9", 9),
    ],
)
def test_a_limit_of_its_own_is_left_alone(command: str, seconds: int) -> None:
    url = f"{URL}?init_command={command}"
    found = limit_lock_wait(url, 5)
    assert (found.text, found.seconds, found.own) == (url, seconds, True)


def test_the_limit_for_rows_is_another_one() -> None:
    url = f"{URL}?init_command=SET+innodb_lock_wait_timeout=3"
    assert limit_lock_wait(url, 5).text == f"{url},+SESSION+lock_wait_timeout=5"


@pytest.mark.parametrize(
    "command",
    [
        "",
        "SELECT+1",
        "SET+a=1;SET+b=2",
        "SET+a=1+--+comment",
        "SET+a=1+%23comment",
        "SET+a=1/*comment",
        "SET+TRANSACTION+READ+ONLY",
        "SET+SESSION+TRANSACTION+ISOLATION+LEVEL+READ+COMMITTED",
        "SET+PASSWORD=''",
        "SET+ROLE+r",
        "SET+STATEMENT+a=1+FOR+SELECT+1",
        "SETTLE+x",
    ],
)
def test_what_cannot_be_extended_is_refused_with_what_to_write(command: str) -> None:
    with pytest.raises(DatabaseUrlError) as caught:
        limit_lock_wait(f"{URL}?init_command={command}", 5)
    assert str(caught.value) == (
        "read an init_command that cannot be extended; allowed is one statement `SET name=value, "
        "...` without ; or comment. Add `, SESSION lock_wait_timeout=5` to it yourself"
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://keystone:s3cret@db/keystone", "read driver postgresql; allowed are mysql, "),
        ("mysql+mysqlconnector://keystone:s3cret@db/keystone", "read driver mysql+mysqlconnector;"),
        ("mysql+pymysql://keystone:s3cret@db", "read another form than driver://"),
        ("mysql+pymysql://keystone:s3cret@db/keystone\n", "read another form than driver://"),
        (f"{URL}?a=b@c", "read another form than driver://"),
        ("s3cret", "read another form than driver://"),
        (f"{URL}?init_command=SET+a=1&init_command=SET+b=1", "read init_command twice"),
    ],
)
def test_other_urls_are_refused_without_showing_them(url: str, reason: str) -> None:
    with pytest.raises(DatabaseUrlError) as caught:
        limit_lock_wait(url, 5)
    assert str(caught.value).startswith(reason)
    assert "s3cret" not in str(caught.value)


def test_the_url_is_not_shown_by_accident() -> None:
    assert "s3cret" not in repr(limit_lock_wait(URL, 5))
