"""The users that must be able to log in: those of the lab, of the load, and of the long way."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from keystone_rollout.domain.load.credentials import derive_password
from keystone_rollout.domain.load.ledger import LedgerError, parse_ledger
from lab.data import seed
from lab.topology import PUBLIC_URL
from machine.errors import CommandError

THREADS = 8
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class KnownUser:
    """One user; more than one password if a change of it was sent and never answered."""

    name: str
    origin: str
    passwords: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Logins:
    """The logins that were tried: how many, how many succeeded by origin, and who failed."""

    asked: int
    authenticated: int
    by_origin: dict[str, tuple[int, int]]
    unable: list[str]

    @property
    def ok(self) -> bool:
        """Return whether at least one user was tried, and all could log in."""
        return self.asked > 0 and self.authenticated == self.asked


def seed_users(key: str) -> list[KnownUser]:
    """Return the users of the lab's data."""
    names = [seed.user_name(number) for number in range(seed.USERS)]
    return [KnownUser(name, "lab", (seed.user_password(key, name),)) for name in names]


def load_users(run: Path, administrator: str) -> list[KnownUser]:
    """Return the users that the load of a run made and that have to be there.

    They are read from the ledgers of its sessions, without users who were deleted or perhaps
    deleted. The residents of a session are in no ledger; their names follow from its profile.

    :param run: directory of the run, whose load was told not to clean up
    :param administrator: the password from which those of the load's users derive
    """
    users = []
    for session in sorted((run / "load").glob("*")):
        users += list(_session_users(session, administrator))
    return users


def _session_users(session: Path, administrator: str) -> Iterator[KnownUser]:
    try:
        profile = json.loads((session / "profile.json").read_text(encoding="utf-8"))
        ledger = (session / "ledger.jsonl").read_text(encoding="utf-8")
        acknowledged = parse_ledger(ledger, str(session / "ledger.jsonl"))
        prefix, residents = str(profile["name_prefix"]), int(profile["residents"])
    except (OSError, ValueError, KeyError, LedgerError) as error:
        raise CommandError(
            f"load session {session} cannot be read ({type(error).__name__}: {error}): whom the "
            "load created is not known, so nobody can say that all of them still log in"
        ) from error
    for user in acknowledged:
        if not user.delete_sent:
            passwords = (derive_password(administrator, user.name, g) for g in user.generations)
            yield KnownUser(user.name, "load", tuple(passwords))
    # Every process of the load has a part of its own in the names: load-<run>-<process>-<number>.
    processes = {user.name.removeprefix(f"{prefix}-").split("-")[0] for user in acknowledged}
    for process in sorted(processes):
        for number in range(1, residents + 1):
            name = f"{prefix}-{process}-resident-{number}"
            yield KnownUser(name, "load", (derive_password(administrator, name, 0),))


def create_users(administrator: str, key: str, prefix: str, count: int) -> list[KnownUser]:
    """Create users through the API, and return them.

    Raises ClientException of keystoneauth1 at the first that is refused.
    """
    keystone = seed.api(administrator)
    users = created_users(key, prefix, count)
    for user in users:
        (password,) = user.passwords
        body = {"name": user.name, "domain_id": "default", "password": password}
        seed.create(keystone, "user", body)
    return users


def created_users(key: str, prefix: str, count: int) -> list[KnownUser]:
    """Return the users that `create_users` makes."""
    names = [f"{prefix}-{number:02d}" for number in range(1, count + 1)]
    return [KnownUser(name, "long way", (derive_password(key, name, 0),)) for name in names]


def sample(users: Sequence[KnownUser], count: int, number: int) -> list[KnownUser]:
    """Return *count* of the users, drawn anew for every *number* and the same for the same."""
    return random.Random(number).sample(users, min(count, len(users)))


def log_in_all(users: Iterable[KnownUser], url: str = PUBLIC_URL) -> Logins:
    """Log in as each of the users, a few at a time, and count."""
    asked = list(users)
    with ThreadPoolExecutor(THREADS) as pool:
        problems = list(pool.map(lambda user: _log_in(user, url), asked))
    could = Counter(
        user.origin for user, problem in zip(asked, problems, strict=True) if problem is None
    )
    total = Counter(user.origin for user in asked)
    return Logins(
        asked=len(asked),
        authenticated=could.total(),
        by_origin={origin: (could[origin], count) for origin, count in sorted(total.items())},
        unable=[
            f"{user.name}: {problem}"
            for user, problem in zip(asked, problems, strict=True)
            if problem is not None
        ],
    )


def _log_in(user: KnownUser, url: str) -> str | None:
    """Return why the user cannot log in; None when it can."""
    answers = []
    for password in user.passwords:
        identity = {
            "methods": ["password"],
            "password": {
                "user": {"name": user.name, "domain": {"id": "default"}, "password": password}
            },
        }
        try:
            answer = _post(f"{url}/auth/tokens", {"auth": {"identity": identity}})
            if answer.status_code == 201:
                found = str(answer.json()["token"]["user"]["name"])
                return None if found == user.name else f"logged in as {found}"
        except (requests.RequestException, ValueError, KeyError) as error:
            return f"no answer ({type(error).__name__})"
        answers.append(str(answer.status_code))
    return f"answered {' and '.join(answers)}"


def _post(url: str, body: dict[str, Any]) -> requests.Response:
    with requests.Session() as session:
        # The lab is on this machine: no proxy, and no password from a netrc file.
        session.trust_env = False
        return session.post(url, json=body, timeout=TIMEOUT_S)
