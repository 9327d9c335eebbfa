"""Serve the part of Keystone's API that the load uses, over real HTTP, from memory.

Faults are switched on by name in ``state.faults``.
"""

from __future__ import annotations

import itertools
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ADMIN_PASSWORD = "the-administrator's-own-word"


class State:
    """Hold users, tokens, assignments, and which faults are on."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ids = itertools.count(1)
        self.users: dict[str, dict[str, str]] = {
            "admin": {"name": "admin", "password": ADMIN_PASSWORD}
        }
        self.named: dict[str, dict[str, str]] = {"projects": {}, "roles": {}}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.cache: dict[str, dict[str, Any]] = {}
        """What a memcached holds under a token's text; nodes may share it."""
        self.longer_tokens = False
        self.assignments: set[tuple[str, str, str]] = set()
        self.faults: set[str] = set()
        self.list_limit = 100
        self.cached_users: dict[str, dict[str, str]] = {}
        """Users that are read as they are here, whatever became of them."""
        self.requests: list[tuple[str, str]] = []

    def next_id(self, kind: str) -> str:
        return f"{kind}{next(self.ids):06d}"


class Refused(Exception):
    """Carry a status and a message to the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """Answer as Keystone does, as far as the load looks."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    state: State

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        url = urlsplit(self.path)
        path = url.path.removeprefix("/v3")
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        with self.state.lock:
            self.state.requests.append((self.command, path))
            hang_up = "close" in self.state.faults and path.startswith("/users/")
            if hang_up or "dead" in self.state.faults:
                self.close_connection = True
                return
            try:
                status, answer, token = self._route(path, query, body)
            except Refused as refused:
                status, token = refused.status, ""
                answer = {"error": {"code": status, "message": str(refused)}}
        self._answer(status, answer, token)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _handle

    def _answer(self, status: int, answer: dict[str, Any], token: str) -> None:
        content = b"" if status == 204 else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        if token:
            self.send_header("X-Subject-Token", token)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _route(
        self, path: str, query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, dict[str, Any], str]:
        command = f"{self.command} {path}"
        for pattern, method in ROUTES:
            if match := re.fullmatch(pattern, command):
                return method(self, query, body, *match.groups())
        raise Refused(404, f"no such route: {command}")

    def _require_token(self) -> None:
        if self.headers.get("X-Auth-Token") not in self.state.tokens:
            raise Refused(401, "The request you have made requires authentication.")

    def log_in(self, query: Any, body: dict[str, Any]) -> tuple[int, dict[str, Any], str]:
        auth = body["auth"]
        asked = auth["identity"]["password"]["user"]
        state = self.state
        user_id = asked.get("id") or next(
            (key for key, user in state.users.items() if user["name"] == asked["name"]), ""
        )
        user = state.users.get(user_id)
        if user is None or user["password"] != asked["password"]:
            raise Refused(401, f"Wrong password {asked['password']} was given")
        scope = auth.get("scope")
        project = scope.get("project") if isinstance(scope, dict) else None
        # A text of 43 characters is one short of whole base64 blocks, like most real tokens.
        length = 32 if state.longer_tokens and project else 31
        value = f"gAAAA{state.next_id('t')}{'x' * length}"
        token: dict[str, Any] = {
            "user": {"id": user_id, "name": user["name"], "domain": {"id": "default"}},
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2126-01-01T00:00:00.000000Z",
        }
        if project is not None:
            token["project"] = {"id": project.get("id"), "name": project.get("name")}
            token["roles"] = [
                {"id": role}
                for who, where, role in sorted(state.assignments)
                if (who, where) == (user_id, project.get("id"))
            ]
        state.tokens[value] = state.cache[value] = token
        return 201, {"token": token}, value

    def validate(self, query: Any, body: Any) -> tuple[int, dict[str, Any], str]:
        self._require_token()
        value = self.headers.get("X-Subject-Token") or ""
        known = {**self.state.tokens, **self.state.cache}.get(value)
        known = known or self.state.tokens.get(value.rstrip("="))
        if known is None:
            raise Refused(404, f"Could not find token: {value}.")
        if "forget" in self.state.faults:
            raise Refused(404, f"Could not find token: {value}.")
        token = dict(known)
        if "mix_up" in self.state.faults:
            token["user"] = {"id": "someone-else", "name": "someone-else"}
        return 200, {"token": token}, ""

    def create_user(self, query: Any, body: dict[str, Any]) -> tuple[int, dict[str, Any], str]:
        self._require_token()
        user = body["user"]
        if "fail_create" in self.state.faults:
            raise Refused(500, f"Unexpected: {user['password']}")
        user_id = self.state.next_id("u")
        self.state.users[user_id] = {"name": user["name"], "password": user["password"]}
        return 201, {"user": {"id": user_id, "name": user["name"]}}, ""

    def create_named(
        self, query: Any, body: dict[str, Any], kind: str
    ) -> tuple[int, dict[str, Any], str]:
        self._require_token()
        single = kind.removesuffix("s")
        new_id = self.state.next_id(single)
        self.state.named[kind][new_id] = body[single]["name"]
        return 201, {single: {"id": new_id, "name": body[single]["name"]}}, ""

    def list_named(
        self, query: dict[str, str], body: Any, kind: str
    ) -> tuple[int, dict[str, Any], str]:
        self._require_token()
        found = [{"id": key, "name": name} for key, name in self.state.named[kind].items()]
        return 200, {kind: found}, ""

    def delete_named(
        self, query: Any, body: Any, kind: str, key: str
    ) -> tuple[int, dict[str, Any], str]:
        self._require_token()
        if self.state.named[kind].pop(key, None) is None:
            raise Refused(404, f"no such {kind}")
        return 204, {}, ""

    def _user(self, user_id: str) -> dict[str, str]:
        if user_id not in self.state.users:
            raise Refused(404, f"Could not find user: {user_id}.")
        return self.state.users[user_id]

    def get_user(self, query: Any, body: Any, user_id: str) -> tuple[int, dict[str, Any], str]:
        self._require_token()
        user = self.state.cached_users.get(user_id) or self._user(user_id)
        return 200, {"user": {"id": user_id, "name": user["name"]}}, ""

    def list_users(self, query: dict[str, str], body: Any) -> tuple[int, dict[str, Any], str]:
        self._require_token()
        found = [
            {"id": user_id, "name": user["name"]}
            for user_id, user in self.state.users.items()
            if user["name"] == query.get("name", user["name"])
            and user["name"].startswith(query.get("name__startswith", ""))
        ]
        return 200, {"users": found[: self.state.list_limit]}, ""

    def change_password(
        self, query: Any, body: dict[str, Any], user_id: str
    ) -> tuple[int, dict[str, Any], str]:
        user = self._user(user_id)
        if user["password"] != body["user"]["original_password"]:
            raise Refused(401, "wrong original password")
        if "keep_password" not in self.state.faults:
            user["password"] = body["user"]["password"]
        return 204, {}, ""

    def delete_user(self, query: Any, body: Any, user_id: str) -> tuple[int, dict[str, Any], str]:
        self._require_token()
        self._user(user_id)
        del self.state.users[user_id]
        return 204, {}, ""

    def assign(
        self, query: Any, body: Any, project: str, user_id: str, role: str
    ) -> tuple[int, dict[str, Any], str]:
        self._require_token()
        self._user(user_id)
        self.state.assignments.add((user_id, project, role))
        return 204, {}, ""

    def list_assignments(self, query: dict[str, str], body: Any) -> tuple[int, dict[str, Any], str]:
        self._require_token()
        found = [
            {"user": {"id": who}, "role": {"id": role}, "scope": {"project": {"id": where}}}
            for who, where, role in sorted(self.state.assignments)
            if who == query["user.id"] and where == query["scope.project.id"]
        ]
        return 200, {"role_assignments": found}, ""


ROUTES: list[tuple[str, Any]] = [
    (r"POST /auth/tokens", Handler.log_in),
    (r"GET /auth/tokens", Handler.validate),
    (r"POST /users", Handler.create_user),
    (r"GET /users", Handler.list_users),
    (r"GET /users/([^/]+)", Handler.get_user),
    (r"DELETE /users/([^/]+)", Handler.delete_user),
    (r"POST /users/([^/]+)/password", Handler.change_password),
    (r"POST /(projects|roles)", Handler.create_named),
    (r"GET /(projects|roles)", Handler.list_named),
    (r"DELETE /(projects|roles)/([^/]+)", Handler.delete_named),
    (r"PUT /projects/([^/]+)/users/([^/]+)/roles/([^/]+)", Handler.assign),
    (r"GET /role_assignments", Handler.list_assignments),
]


class Server(ThreadingHTTPServer):
    """Queue more connections than the library's 5, or the kernel makes clients wait 1 s."""

    request_queue_size = 128
    daemon_threads = True


class InMemoryKeystone:
    """Own the server and its state."""

    def __init__(self, state: State, server: ThreadingHTTPServer) -> None:
        self.state = state
        self.server = server

    @property
    def auth_url(self) -> str:
        """Return the URL that OS_AUTH_URL takes."""
        scheme = "https" if isinstance(self.server.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://{self.address}/v3"

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[InMemoryKeystone]:
    """Serve on a free port of 127.0.0.1 until the block ends, in TLS if there is a context."""
    state = State()
    handler = type("BoundHandler", (Handler,), {"state": state})
    server = Server(("127.0.0.1", 0), handler)
    if tls is not None:
        # The handshake is for each connection's own thread: one client must not hold up others.
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield InMemoryKeystone(state, server)
    finally:
        # Connections that are kept alive outlive the listening socket.
        state.faults.add("dead")
        server.shutdown()
        server.server_close()
        thread.join()
