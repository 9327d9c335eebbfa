"""Check that no write which Keystone acknowledged to the load has been lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from keystoneauth1.adapter import Adapter
from keystoneauth1.exceptions import ClientException, ConnectTimeout
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Tls
from keystone_rollout.domain.load.acknowledged_writes import AcknowledgedWrites
from keystone_rollout.domain.load.credentials import KeystoneAccount, derive_password
from keystone_rollout.domain.load.ledger import LedgerUser, parse_ledger
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.keystone.api import REQUEST_SECONDS
from keystone_rollout.hooks.trust.sessions import trusting_session

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 8


class AcknowledgedWritesHook:
    """The API connection that compares the ledger with Keystone, and removes the load's objects."""

    def __init__(
        self,
        account: KeystoneAccount,
        *,
        timeout: float = REQUEST_SECONDS,
        tls: Tls = SYSTEM_TRUST,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._account = account
        self._timeout = timeout
        self._clock = clock
        self._answered = clock.elapsed()
        self._session = Session(
            auth=Password(
                auth_url=account.auth_url,
                username=account.username,
                password=account.password,
                user_domain_name=account.user_domain_name,
                project_name=account.project_name,
                project_domain_name=account.project_domain_name,
            ),
            timeout=timeout,
            session=trusting_session(tls),
            app_name="keystone-rollout",
        )
        # The catalogue may name an address that only nodes reach, so the account's address is used.
        self._api = Adapter(
            self._session, endpoint_override=account.auth_url.rstrip("/"), raise_exc=False
        )

    def check(self, ledger: Path) -> AcknowledgedWrites:
        """Look up every user of the ledger, and log in as every one that must exist.

        Once Keystone has been silent for the limit of one answer, the rest is not asked for: it
        would take as long for every one of them. RuntimeError without a first answer.
        """
        users = parse_ledger(ledger.read_text() if ledger.exists() else "", str(ledger))
        self._begin()
        outcomes = _in_threads(self._outcome, users)

        def named(wanted: str) -> tuple[str, ...]:
            found = zip(users, outcomes, strict=True)
            return tuple(user.name for user, outcome in found if outcome == wanted)

        return AcknowledgedWrites(
            created=len(users),
            deleted=sum(user.deleted for user in users),
            authenticated=len(named("authenticated")),
            uncertain=sum(user.uncertain for user in users),
            missing=named("missing"),
            unable=named("unable"),
            undead=named("undead"),
            unanswered=named("unanswered"),
            stale=named("stale"),
        )

    def _begin(self) -> None:
        try:
            self._session.get_token()
        except ConnectTimeout as error:
            raise RuntimeError(
                f"Keystone at {self._account.auth_url} gave the check of the acknowledged writes "
                f"no token: measured no answer for {self._timeout:g} s, the limit "
                "(load.profile.timeout). Not one write was looked up. Next: see what Keystone "
                "waits for, then clear this task"
            ) from error
        self._answered = self._clock.elapsed()

    def remove(self, name_prefix: str) -> dict[str, int]:
        """Delete all users, projects and roles named ``<name_prefix>-...``; return their counts.

        An object that is already gone counts as removed. RuntimeError names the first one that
        cannot be deleted.
        """
        if len(name_prefix) < 4:
            raise ValueError(
                f"name prefix is {name_prefix!r}: too short to delete by, needed are 4 characters"
            )
        kinds = ("users", "projects", "roles")
        return {kind: self._remove_all(kind, name_prefix) for kind in kinds}

    def _remove_all(self, kind: str, name_prefix: str) -> int:
        """Delete what is listed until nothing new is: a list ends at Keystone's list_limit."""
        removed: set[str] = set()
        self._answered = self._clock.elapsed()
        while ids := [one for one in self._ids(kind, f"{name_prefix}-") if one not in removed]:
            statuses = _in_threads(partial(self._delete, kind), ids)
            refused = [
                f"{one} ({status})"
                for one, status in zip(ids, statuses, strict=True)
                if status not in (204, 404)
            ]
            if refused:
                raise RuntimeError(
                    f"{len(refused)} of {len(ids)} {kind} of the load named {name_prefix}-... "
                    f"were not deleted, the first: {refused[0]}. They do no harm; delete them "
                    "by hand or clear this task"
                )
            removed.update(ids)
        return len(removed)

    def _delete(self, kind: str, one: str) -> int:
        if self._is_silent():
            raise RuntimeError(
                f"Keystone at {self._account.auth_url} has not answered for {self._timeout:g} s, "
                f"the limit (load.profile.timeout): {kind} of the load stay. They do no harm; "
                "delete them by hand or clear this task"
            )
        status = int(self._api.delete(f"/{kind}/{one}").status_code)
        self._answered = self._clock.elapsed()
        return status

    def _is_silent(self) -> bool:
        return self._clock.elapsed() - self._answered > self._timeout

    def _ids(self, kind: str, start: str) -> list[str]:
        response = self._api.get(f"/{kind}", params={"name__startswith": start})
        if response.status_code != 200:
            raise RuntimeError(
                f"GET /{kind} answered {response.status_code} instead of 200: the load's {kind} "
                f"named {start}... stay. Delete them by hand or clear this task"
            )
        # Not every resource filters by the start of a name, and an ignored filter lists all.
        return [one["id"] for one in response.json()[kind] if one["name"].startswith(start)]

    def _outcome(self, user: LedgerUser) -> str:
        if self._is_silent():
            return "unanswered"
        outcome = self._look_up(user)
        if outcome != "unanswered":
            self._answered = self._clock.elapsed()
        return outcome

    def _look_up(self, user: LedgerUser) -> str:
        try:
            status = self._api.get(f"/users/{user.id}").status_code
            if status not in (200, 404):
                return "unanswered"
            if user.uncertain:
                return "uncertain"
            if user.deleted:
                return self._deleted_but_read(user) if status == 200 else "gone"
            return self._log_in(user) if status == 200 else "missing"
        except ClientException:
            return "unanswered"

    def _deleted_but_read(self, user: LedgerUser) -> str:
        """Ask the database: one user is read from a cache, a list of users never is."""
        response = self._api.get("/users", params={"name": user.name})
        if response.status_code != 200:
            return "unanswered"
        listed = any(one["id"] == user.id for one in response.json()["users"])
        return "undead" if listed else "stale"

    def _log_in(self, user: LedgerUser) -> str:
        for generation in user.generations:
            password = derive_password(self._account.password, user.name, generation)
            identity = {
                "methods": ["password"],
                "password": {"user": {"id": user.id, "password": password}},
            }
            # log=False: keystoneauth would otherwise write the body to its debug log.
            response = self._session.post(
                f"{self._account.auth_url.rstrip('/')}/auth/tokens",
                json={"auth": {"identity": identity}},
                authenticated=False,
                raise_exc=False,
                log=False,
            )
            if response.status_code == 201:
                same = response.json()["token"]["user"]["id"] == user.id
                return "authenticated" if same else "unable"
            if response.status_code != 401:
                return "unanswered"
        return "unable"


def _in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))
