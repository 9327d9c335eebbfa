"""The load's objects in Keystone: users, tokens, and the administrator's tokens."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# Long enough that a token of the old release meets every node of the new one.
TOKEN_AGE_SECONDS = 600.0
TOKEN_SLOT_SECONDS = 10.0
TOKENS_PER_SLOT = 10


@dataclass(eq=False)
class LoadUser:
    """One user of the load; ``generation`` counts its password changes."""

    id: str
    name: str
    generation: int = 0
    assigned: bool = False


@dataclass(frozen=True)
class IssuedToken:
    """A token and its owner; it is never printed. Times are epoch seconds here."""

    value: str = field(repr=False)
    user_id: str
    issued: float
    usable_until: float

    @classmethod
    def of(cls, value: str, token: dict[str, Any], now: float) -> IssuedToken:
        """Return the token of an answer that came at ``now``.

        Its lifetime is taken from the answer, without comparing the server's clock with ours. The
        last fifth of it is not used: an expired token is not a fault of the upgrade.
        """
        expires = datetime.fromisoformat(token["expires_at"])
        lifetime = (expires - datetime.fromisoformat(token["issued_at"])).total_seconds()
        return cls(value, token["user"]["id"], now, now + 0.8 * lifetime)


class TokenPool:
    """Tokens of all ages up to ``TOKEN_AGE_SECONDS``, a few per slot of time.

    Drawing picks the slot first. A token issued five minutes ago on an old node is therefore
    validated as often as one issued just now, although the fresh ones are no rarer.
    """

    def __init__(self) -> None:
        self._slots: deque[tuple[int, list[IssuedToken]]] = deque()

    def add(self, token: IssuedToken) -> None:
        """Keep a token, unless its slot of time has enough."""
        slot = int(token.issued / TOKEN_SLOT_SECONDS)
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append((slot, []))
        if len(self._slots[-1][1]) < TOKENS_PER_SLOT:
            self._slots[-1][1].append(token)

    def draw(self, now: float) -> IssuedToken | None:
        """Return a usable token of any age, or None if there is none."""
        while self._slots and not self._usable(self._slots[0], now):
            self._slots.popleft()
        if not self._slots:
            return None
        return random.choice(random.choice(self._slots)[1])

    def __len__(self) -> int:
        return sum(len(tokens) for _, tokens in self._slots)

    @staticmethod
    def _usable(slot: tuple[int, list[IssuedToken]], now: float) -> bool:
        young = slot[0] >= int((now - TOKEN_AGE_SECONDS) / TOKEN_SLOT_SECONDS)
        return young and all(now < token.usable_until for token in slot[1])


class AdminTokens:
    """The administrator's last tokens, and the time for the next one.

    Any of them signs a request: old tokens then work on new nodes and new ones on old nodes.
    """

    def __init__(self, renew_seconds: float = 60.0, keep: int = 5) -> None:
        self.renew_seconds = renew_seconds
        self._tokens: deque[IssuedToken] = deque(maxlen=keep)
        self._next_renewal = 0.0

    def claim_renewal(self, now: float) -> bool:
        """Return True to one caller per interval: that one has to issue a token."""
        if now < self._next_renewal:
            return False
        self._next_renewal = now + self.renew_seconds
        return True

    def add(self, token: IssuedToken) -> None:
        """Keep a new token; the oldest goes once there are enough, or when it is worn out."""
        while self._tokens and self._tokens[0].usable_until <= token.issued + self.renew_seconds:
            self._tokens.popleft()
        self._tokens.append(token)

    def draw(self) -> str:
        """Return one of the tokens; IndexError before the first was issued."""
        return random.choice(self._tokens).value


class Population:
    """The users of the load. Residents stay; created ones belong to one action at a time.

    An action takes a created user out and puts it back, so that no other looks it up while it is
    being deleted or its password changes. A user that met a failure is not put back, because its
    state is unknown.
    """

    def __init__(self, living_limit: int) -> None:
        self.living_limit = living_limit
        self.residents: list[LoadUser] = []
        self.idle: list[LoadUser] = []
        self.living = 0

    @property
    def full(self) -> bool:
        """Return whether enough created users exist."""
        return self.living >= self.living_limit

    def take(self, *, assigned: bool | None = None) -> LoadUser | None:
        """Take any idle user out, or None; ``assigned`` selects one with or without a role."""
        if assigned is None:
            matching = self.idle
        else:
            matching = [user for user in self.idle if user.assigned is assigned]
        if not matching:
            return None
        user = random.choice(matching)
        self.idle.remove(user)
        return user

    def born(self, user: LoadUser) -> None:
        """Count a user that Keystone acknowledged; it stays with the action that made it."""
        self.living += 1

    def put_back(self, user: LoadUser) -> None:
        """Let other actions have the user again."""
        self.idle.append(user)

    def gone(self, user: LoadUser) -> None:
        """Forget a user whose deletion was sent."""
        self.living -= 1
