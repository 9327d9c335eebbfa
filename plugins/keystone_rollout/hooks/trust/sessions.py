"""Give keystoneauth1 the trust of the cloud file."""

from __future__ import annotations

from typing import Any

import requests
from keystoneauth1.session import TCPKeepAliveAdapter

from keystone_rollout.domain.cloud.tls import Peer, Tls
from keystone_rollout.hooks.trust.certificates import TrustError, context, peer_of, refused


def trusting_session(tls: Tls) -> requests.Session:
    """Return a session for keystoneauth1.session.Session(session=…).

    It takes nothing from the environment: no CA bundle, no proxy, no .netrc, as the load does not.
    """
    session = requests.Session()
    session.trust_env = False
    adapter = _TrustingAdapter(tls)
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return session


class _TrustingAdapter(TCPKeepAliveAdapter):
    """The connections of a session; what a request says about verifying is not asked."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._contexts: dict[Peer, Any] = {}
        super().__init__()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Return the pool of a request's address; one context an address, so that it is found."""
        host, _own = super().build_connection_pool_key_attributes(request, verify, cert)
        peer = peer_of(self._tls, request.url or "")
        if peer is None:
            return host, {}
        if peer not in self._contexts:
            self._contexts[peer] = context(peer)
        return host, {"ssl_context": self._contexts[peer], "server_hostname": peer.name}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the connection as its context says; requests would add a CA bundle of its own."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request; SSLError says of a refused certificate what was read and is allowed."""
        try:
            return super().send(request, *args, **kwargs)
        except TrustError as error:
            raise requests.exceptions.SSLError(str(error), request=request) from error
        except requests.exceptions.SSLError as error:
            reason = _reason(peer_of(self._tls, request.url or ""))
            if reason is None:
                raise
            raise requests.exceptions.SSLError(reason, request=request) from error


def _reason(peer: Peer | None) -> str | None:
    try:
        found = refused(peer) if peer else None
    except OSError:
        return None
    return str(found) if found else None
