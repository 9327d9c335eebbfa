"""[database] connection is read as Keystone reads it."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.cloud.keystone_conf import option_values, override_text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[database]\nconnection = mysql://a\n", ["mysql://a"]),
        ("[database]\nconnection: mysql://a\n", ["mysql://a"]),
        ("[database]\nconnection=mysql://a?b=c:d", ["mysql://a?b=c:d"]),
        ("[Database]\nconnection = 'mysql://a'\n", ["mysql://a"]),
        ('[database]\nconnection = "mysql://$user"\r\n', ["mysql://$user"]),
        ("[database]\nconnection = a\nmax = 1\nconnection = b\n", ["a", "b"]),
        ("[database]\nconnection = a\n  b\n\n c\n", ["a\nb"]),
        ("[database]\n#connection = a\n;connection = b\n", []),
        ("[database]\nslave_connection = a\nCONNECTION = b\n", []),
        ("[DEFAULT]\nconnection = a\n[cache]\nconnection = b\n", []),
        ("connection = a\n[database]\nnonsense\n", []),
        ("[a]\nx = 1\n[database]\nconnection = a\n[b]\nconnection = c\n", ["a"]),
        ("[database]\nconnection =\n", [""]),
        ("", []),
    ],
)
def test_every_form_that_keystone_reads_is_read(text: str, found: list[str]) -> None:
    assert option_values(text, "database", "connection") == found


def test_the_override_holds_one_option_and_is_read_back() -> None:
    text = override_text("mysql://a:b@c/d?e=f")
    assert text == "[database]\nconnection = mysql://a:b@c/d?e=f\n"
    assert option_values(text, "database", "connection") == ["mysql://a:b@c/d?e=f"]
