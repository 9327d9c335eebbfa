"""Send one request to Keystone, check the whole answer, count it once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from geventhttpclient.client import HTTPClient, HTTPClientPool
from geventhttpclient.url import URL
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment

from recorder import scrub


class CallFailed(Exception):
    """A fault of an answer, described without any secret."""


@dataclass(frozen=True)
class Answer:
    """A complete answer of the expected status; never printed, because it may hold a token."""

    subject_token: str = field(repr=False)
    body: dict[str, Any] = field(repr=False)


Check = Callable[[Answer], None]


def expect(condition: bool, wrong: str) -> None:
    """Raise CallFailed with ``wrong`` unless the condition holds."""
    if not condition:
        raise CallFailed(f"wrong content: {wrong}")


class SingleAttemptPool(HTTPClientPool):
    """A pool of connections on which a request is sent exactly once.

    geventhttpclient silently sends GET, PUT and DELETE again when the connection closes before
    an answer. The load has to see that very failure.
    """

    def get_client(self, url: str | URL) -> HTTPClient:
        """Return the client for a URL, without any further attempts."""
        client = super().get_client(url)
        # HTTPClient.request allows `size + 1` further attempts; the pool's real bounds, its
        # semaphore and queue, were made from `size` before and stay.
        client._connection_pool.size = -1
        return client


def open_session(
    environment: Environment, url: str, timeout: float, trust: Mapping[str, Any]
) -> FastHttpSession:
    """Return a session that reports to Locust, sends once and waits ``timeout`` seconds.

    ``trust`` is what hooks.trust.certificates.load_arguments says of the URL. It goes to the pool,
    which alone makes connections: a session of Locust's own believes any certificate.
    """
    pool = SingleAttemptPool(
        concurrency=1, network_timeout=timeout, connection_timeout=timeout, **trust
    )
    return FastHttpSession(
        base_url=url, request_event=environment.events.request, user=None, client_pool=pool
    )


class KeystoneCalls:
    """The requests to one Keystone, whose address is fixed when the process starts."""

    def __init__(
        self, environment: Environment, auth_url: str, timeout: float, trust: Mapping[str, Any]
    ) -> None:
        self._url = auth_url.rstrip("/")
        self._events = environment.events
        self._session = open_session(environment, self._url, timeout, trust)

    def call(
        self,
        name: str,
        method: str,
        path: str,
        *,
        expected: int,
        check: Check | None = None,
        token: str = "",
        subject_token: str = "",
        body: dict[str, Any] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Answer | None:
        """Return the answer if its status and content are right, else None.

        Either way the request counts once, under ``name``. ``check`` raises CallFailed for wrong
        content; ``secrets`` (passwords in the body) never show in an error, nor do tokens.
        """
        hidden = (token, subject_token, *secrets)
        headers = {"Accept": "application/json"}
        if token:
            headers["X-Auth-Token"] = token
        if subject_token:
            headers["X-Subject-Token"] = subject_token
        try:
            response = self._session.request(
                method,
                f"{self._url}{path}",
                name=name,
                json=body,
                headers=headers,
                catch_response=True,
                allow_redirects=False,
            )
        except Exception as error:
            # Not the error's text, which quotes an invalid header with its value.
            self.report_crash(name, method, error)
            return None
        with response:
            try:
                answer = _read(response, expected, hidden)
                if check is not None:
                    check(answer)
            except CallFailed as failure:
                response.failure(CallFailed(scrub(str(failure), hidden)))
                return None
            except KeyError as error:
                response.failure(CallFailed(f"wrong content: the answer lacks {error}"))
                return None
            except Exception as error:
                # Only the type: the text of a parser's error quotes the answer.
                response.failure(CallFailed(f"wrong content: {type(error).__name__} in reading it"))
                return None
            response.success()
            return answer
        return None

    def report_crash(self, name: str, method: str, error: Exception) -> None:
        """Count a request that could not even be sent as a failure."""
        self._events.request.fire(
            request_type=method,
            name=name,
            response_time=0.0,
            response_length=0,
            response=None,
            context={},
            exception=CallFailed(f"the load itself failed: {type(error).__name__}"),
        )


def _read(response: Any, expected: int, hidden: tuple[str, ...]) -> Answer:
    status = response.status_code
    transport_error = response.request_meta["exception"]
    if not status or (status == expected and transport_error is not None):
        error = transport_error or "empty"
        kind = type(transport_error).__name__
        raise CallFailed(f"no complete answer: {kind} {scrub(str(error), hidden)}")
    if status != expected:
        raise CallFailed(f"answered {status}, expected {expected}: {_message(response)}")
    content = response.content
    body = json.loads(content) if content else {}
    if not isinstance(body, dict):
        raise CallFailed(f"wrong content: JSON {type(body).__name__} instead of an object")
    return Answer(subject_token=str(response.headers.get("x-subject-token") or ""), body=body)


def _message(response: Any) -> str:
    """Return the server's message about its error; HAProxy's own pages are not JSON."""
    try:
        return str(json.loads(response.content)["error"]["message"])
    except Exception:
        return "no Keystone error in the body"
