"""Read the ledger of acknowledged writes: which users must exist, and which must not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

EVENTS = ("created", "password_change_sent", "password_changed", "delete_sent", "deleted")


class LedgerError(ValueError):
    """A line of the ledger that cannot be read."""


@dataclass(frozen=True)
class LedgerUser:
    """The writes that Keystone acknowledged for one user.

    ``generation`` is that of the acknowledged password. ``sent_generation`` is newer if a change
    was sent and never answered: then either password is right. ``delete_sent`` without
    ``deleted`` means that the user may exist or not.
    """

    id: str
    name: str
    generation: int = 0
    sent_generation: int = 0
    delete_sent: bool = False
    deleted: bool = False

    @property
    def uncertain(self) -> bool:
        """Tell whether a deletion was sent and never acknowledged."""
        return self.delete_sent and not self.deleted

    @property
    def generations(self) -> tuple[int, ...]:
        """Return the password generations that may be valid, the acknowledged one first."""
        if self.sent_generation > self.generation:
            return (self.generation, self.sent_generation)
        return (self.generation,)


def parse_ledger(text: str, source: str = "ledger.jsonl") -> list[LedgerUser]:
    """Return the users of a ledger's content in the order of their creation.

    A last line without its newline is still being written and does not count. LedgerError names any
    other line that cannot be read, or that is about a user who was never created.
    """
    complete, newline, _half_written = text.rpartition("\n")
    users: dict[str, LedgerUser] = {}
    for number, line in enumerate(complete.split("\n") if newline else [], start=1):
        try:
            _apply(users, json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f"{source} line {number} is not a ledger event ({type(error).__name__}: {error}): "
                f"read {line[:80]!r}. The acknowledged writes cannot be checked with a hole in "
                "the ledger; compare the users named load-* with Keystone by hand"
            ) from None
    return list(users.values())


def _apply(users: dict[str, LedgerUser], event: Mapping[str, Any]) -> None:
    kind, user_id, generation = event["event"], str(event["id"]), int(event["generation"])
    if kind == "created":
        users[user_id] = LedgerUser(user_id, str(event["name"]), generation, generation)
        return
    user = users[user_id]
    match kind:
        case "password_change_sent":
            users[user_id] = replace(user, sent_generation=generation)
        case "password_changed":
            users[user_id] = replace(user, generation=generation, sent_generation=generation)
        case "delete_sent":
            users[user_id] = replace(user, delete_sent=True)
        case "deleted":
            users[user_id] = replace(user, delete_sent=True, deleted=True)
        case _:
            raise ValueError(f"event is {kind!r}, known are {', '.join(EVENTS)}")
