"""Give Keystone's database URL a short wait for metadata locks, and lead it to another schema.

No message here holds a part of the URL: it carries the database password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

SCHEMES = ("mysql", "mysql+mysqldb", "mysql+pymysql", "mariadb", "mariadb+mysqldb",
           "mariadb+pymysql")  # fmt: skip
"""Drivers that hand a URL's `init_command` to the server."""

# The password may hold anything, so the authority reaches as far as the last @.
_URL = re.compile(
    r"(?P<scheme>[\w+]+)://(?:.*@)?(?P<server>[^/?@\s]*)/[^/?@\s]+(?:\?(?P<query>[^@\r\n]*))?"
)
_ITEM = re.compile(r"(?P<start>^|&)init_command=(?P<command>[^&]*)")
_OWN_LIMIT = re.compile(r"\block_wait_timeout\s*:?=\s*(\d+)", re.IGNORECASE)
# Statements that begin with SET and end before a comma could follow; and whatever could end the
# statement early, or make a comment of what is appended.
_EXTENSIBLE = re.compile(
    r"SET\s+(?!(?:(?:SESSION|LOCAL|GLOBAL)\s+)?TRANSACTION\b|PASSWORD\b|ROLE\b|DEFAULT\b"
    r"|STATEMENT\b|RESOURCE\b)(?!.*(?:;|--|\#|/\*)).*\S",
    re.IGNORECASE | re.DOTALL,
)
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")


class DatabaseUrlError(ValueError):
    """Why a URL cannot be given a lock wait limit, and what to write instead."""


@dataclass(frozen=True)
class LimitedUrl:
    """A URL whose sessions give up on a lock after so many seconds.

    ``own`` tells whether the limit was in the URL already, as the operator's own.
    """

    text: str = field(repr=False)
    seconds: int
    own: bool = False


def limit_lock_wait(url: str, seconds: int) -> LimitedUrl:
    """Return the URL with `SET SESSION lock_wait_timeout` in its init_command.

    The addition holds no percent sign: from Zed on, Keystone hands the URL unescaped to a parser
    that fails on it. DatabaseUrlError if the URL cannot be extended safely.
    """
    match = _parts(url)
    if match["scheme"] not in SCHEMES:
        raise DatabaseUrlError(
            f"read driver {match['scheme']}; allowed are {', '.join(SCHEMES)}, because others "
            "know no init_command"
        )
    if match["query"] is None:
        return LimitedUrl(f"{url}?init_command=SET+SESSION+{_limit(seconds)}", seconds)
    return _limit_in_query(url, match["query"], match.start("query"), seconds)


def lead_to(url: str, schema: str, account: str) -> str:
    """Return the URL with another schema and account; driver, server and options stay.

    ``account`` is login:password, both percent-encoded. DatabaseUrlError if this is no such URL.
    """
    match = _parts(url)
    options = "" if match["query"] is None else f"?{match['query']}"
    return f"{match['scheme']}://{account}@{match['server']}/{schema}{options}"


def _parts(url: str) -> re.Match[str]:
    match = _URL.fullmatch(url)
    if match is None:
        raise DatabaseUrlError(
            "read another form than driver://user:password@host/schema?options; @ and / of a "
            "password are written %40 and %2F, and an option holds no @"
        )
    return match


def _limit(seconds: int) -> str:
    return f"lock_wait_timeout={seconds}"


def _limit_in_query(url: str, query: str, start: int, seconds: int) -> LimitedUrl:
    commands = list(_ITEM.finditer(query))
    if not commands:
        separator = "&" if query and not query.endswith("&") else ""
        return LimitedUrl(f"{url}{separator}init_command=SET+SESSION+{_limit(seconds)}", seconds)
    if len(commands) > 1:
        raise DatabaseUrlError("read init_command twice; allowed is once")
    command = _decoded(commands[0]["command"])
    own = _OWN_LIMIT.search(command)
    if own is not None:
        return LimitedUrl(url, int(own[1]), own=True)
    if not _EXTENSIBLE.fullmatch(command.strip()):
        raise DatabaseUrlError(
            "read an init_command that cannot be extended; allowed is one statement `SET name=value"
            f", ...` without ; or comment. Add `, SESSION {_limit(seconds)}` to it yourself"
        )
    end = start + commands[0].end("command")
    return LimitedUrl(f"{url[:end]},+SESSION+{_limit(seconds)}{url[end:]}", seconds)


def _decoded(text: str) -> str:
    return _PERCENT.sub(lambda match: chr(int(match[1], 16)), text.replace("+", " "))
