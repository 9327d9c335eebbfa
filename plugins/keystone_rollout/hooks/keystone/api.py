"""Talk to Keystone as a client does, with keystoneauth1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from keystoneauth1 import exceptions
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Tls
from keystone_rollout.domain.load.profile import LoadProfile
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.trust.sessions import trusting_session

REQUEST_SECONDS = LoadProfile().timeout
"""Seconds for one request, without a cloud file."""


class ProofFailed(RuntimeError):
    """An answer of Keystone that is not a valid token."""


class KeystoneApiHook(BaseHook):
    """Keystone's API for tokens, past the load balancer or on one node.

    :param conn_id: connection whose host is the URL clients use, with an administrator's login
    :param url: URL of one node, to go past the load balancer
    :param timeout: seconds for one request, load.profile.timeout of the cloud file
    :param tls: section `tls` of the cloud file
    """

    def __init__(
        self,
        conn_id: str,
        url: str | None = None,
        timeout: float = REQUEST_SECONDS,
        *,
        tls: Tls = SYSTEM_TRUST,
    ) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.connection = self.get_connection(conn_id)
        self.url = (url or self.connection.host or "").rstrip("/")
        self.timeout = timeout
        self.trusted = trusting_session(tls)

    def credentials(self) -> dict[str, str]:
        """Return the administrator's credentials as keystoneauth1's v3.Password takes them."""
        extra = self.connection.extra_dejson
        return {
            "username": self.connection.login or "",
            "password": self.connection.password or "",
            "user_domain_name": extra.get("user_domain_name", "Default"),
            "project_name": extra.get("project_name", "admin"),
            "project_domain_name": extra.get("project_domain_name", "Default"),
        }

    def session(self, *, scoped: bool = True) -> Session:
        """Return a session authenticated as the connection's user."""
        credentials: dict[str, Any] = self.credentials()
        if not scoped:
            credentials = {key: value for key, value in credentials.items() if "project" not in key}
        auth = v3.Password(self.url, include_catalog=False, unscoped=not scoped, **credentials)
        return Session(auth=auth, timeout=self.timeout, session=self.trusted)

    def issue_token(self) -> str:
        """Return a fresh token in a form that no cache knows; ProofFailed quotes any other answer.

        See `beyond_cache`: if a project's token leaves no room for the padding, an unscoped one is
        used, which is shorter by at least one block.
        """
        token = str(self._ask("issue a token", lambda: self.session().get_token()))
        if beyond_cache(token) == token:
            unscoped = self.session(scoped=False)
            token = str(self._ask("issue an unscoped token", unscoped.get_token))
        return token

    def validate_token(self, token: str) -> str:
        """Return the user id of a token issued anywhere; ProofFailed quotes any other answer."""
        asked = beyond_cache(token)

        def validate() -> Any:
            return self.session().get(f"{self.url}/auth/tokens", headers={"X-Subject-Token": asked})

        response = self._ask("validate a token issued elsewhere", validate)
        return str(response.json()["token"]["user"]["id"])

    def _ask(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (exceptions.ClientException, ValueError, KeyError) as error:
            host = urlsplit(self.url).netloc
            late = isinstance(error, exceptions.ConnectTimeout)
            limit = f" (limit {self.timeout:g} s, load.profile.timeout)" if late else ""
            raise ProofFailed(f"{host} could not {what}: {error}{limit}") from error


def beyond_cache(token: str) -> str:
    """Return a Fernet token in a form that no cache knows: with the padding that Keystone strips.

    Keystone caches a token when it is issued, often in a memcached that all nodes share, and
    validates from there under the token's text. So a node with other keys would pass. With its
    padding the token is the same one, but has to be decrypted.
    """
    return token + "=" * (-len(token) % 4)


class NodeProver:
    """The proof of one node with real tokens (keystone_rollout.domain.node.cycle.Prover).

    `/healthcheck` answers 200 without touching database or keys, so it proves nothing.

    :param elsewhere: URL of another node; by default past the load balancer, for a node that is
        out of rotation
    :param tls: section `tls` of the cloud file
    """

    def __init__(
        self,
        conn_id: str,
        url: str,
        start_seconds: float,
        elsewhere: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        *,
        timeout: float = REQUEST_SECONDS,
        tls: Tls = SYSTEM_TRUST,
    ) -> None:
        self.elsewhere = KeystoneApiHook(conn_id, elsewhere, timeout, tls=tls)
        self.here = KeystoneApiHook(conn_id, url, timeout, tls=tls)
        self.start_seconds = start_seconds
        self.clock = clock

    def prove(self) -> str:
        """Issue a token here and validate it elsewhere, then the reverse.

        A service needs a while from `start` to its first token: that first one is waited for, up
        to ``start_seconds``. After it nothing is tried twice.
        """
        token = self._first_token()
        self.elsewhere.validate_token(token)
        self.here.validate_token(self.elsewhere.issue_token())
        return "issues tokens, validates tokens issued elsewhere, and the reverse"

    def prove_alone(self) -> str:
        """Issue a token here and validate it here, while no other server serves.

        Waits for the first token as `prove` does.
        """
        self.here.validate_token(self._first_token())
        return "issues tokens and validates its own; no other server to compare with"

    def _first_token(self) -> str:
        end = self.clock.elapsed() + self.start_seconds
        while True:
            try:
                return self.here.issue_token()
            except ProofFailed:
                if self.clock.elapsed() > end:
                    raise
                self.clock.sleep(0.5)
