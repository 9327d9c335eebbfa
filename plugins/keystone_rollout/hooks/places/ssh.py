"""An SSH connection of Airflow's as a place: its login, its key, pinned host keys, its bastion."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import paramiko
from airflow.providers.ssh.hooks.ssh import SSHHook

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Limits
from keystone_rollout.domain.places.script import bounded, socat
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.places.exchange import BROKEN, Session, dropped
from keystone_rollout.hooks.places.shell import ShellPlace

DEFAULT_LIMITS = Limits()
RECONNECT_PAUSE_SECONDS = 1.0
BASTION = "bastion"
"""Key of a connection's extra: the SSH connection through which its host is reached."""


class SshConnection(SSHHook):
    """Airflow's hook, through a bastion that is an Airflow connection itself.

    The provider knows no bastion in a connection. The proxy command of ~/.ssh/config, which it does
    know, is started once only, so that a second connection would find it ended.

    :param conn_id: connection; its extra may name a ``bastion``
    :param before: connections that lead through this one
    :param limits: section `limits` of the cloud file
    """

    def __init__(
        self, conn_id: str, before: tuple[str, ...] = (), limits: Limits = DEFAULT_LIMITS
    ) -> None:
        super().__init__(
            ssh_conn_id=conn_id, cmd_timeout=None, conn_timeout=limits.connect_seconds,
            banner_timeout=limits.answer_seconds, auth_timeout=limits.answer_seconds,
        )  # fmt: skip
        self.limits = limits
        name = self.get_connection(conn_id).extra_dejson.get(BASTION)
        chain = (*before, conn_id)
        if name in chain:
            raise ValueError(
                f"SSH connections {' → '.join((*chain, name))} are a circle. Next: correct "
                f"{BASTION!r} in one's extra"
            )
        self.bastion = SshConnection(name, chain, limits) if name else None
        if self.bastion or self.host_proxy_cmd:
            # The provider would try again over the way that has just failed.
            self.conn_retry_attempts = 1

    def get_conn(self) -> paramiko.SSHClient:
        """Connect; TimeoutError says which limit was reached."""
        try:
            return super().get_conn()
        except (paramiko.SSHException, OSError) as error:
            if not _is_timeout(error):
                raise
            raise TimeoutError(
                f"{self.remote_host}:{self.port or 22} did not open a session in time ({error}): "
                f"limits {self.limits.connect_seconds} s to connect (limits.connect_seconds), then "
                f"{self.limits.answer_seconds} s an answer (limits.answer_seconds)"
            ) from error

    @property
    def host_proxy(self) -> Any:
        """Return a new way to the host; None for the direct one."""
        if self.bastion is not None:
            return _Tunnel(self.bastion, self.remote_host, self.port or 22)
        return paramiko.ProxyCommand(self.host_proxy_cmd) if self.host_proxy_cmd else None


class _Tunnel:
    """A bastion's channel to a host; the connection to the bastion ends with it."""

    def __init__(self, bastion: SshConnection, host: str, port: int) -> None:
        self._client = bastion.get_conn()
        transport = self._client.get_transport()
        assert transport is not None
        # The next one asks for a connection of its own: this one is closed when it likes.
        bastion.client = None
        try:
            self._channel = transport.open_channel(
                "direct-tcpip", (host, port), ("127.0.0.1", 0),
                timeout=bastion.limits.answer_seconds,
            )  # fmt: skip
        except BaseException as error:
            self._client.close()
            if isinstance(error, paramiko.SSHException):
                raise paramiko.SSHException(
                    f"bastion {bastion.ssh_conn_id} does not reach {host}:{port}: {error}"
                ) from error
            raise

    def close(self) -> None:
        """End both; called by the thread that reads, and by whoever closes, in any order."""
        with suppress(*BROKEN):
            self._channel.close()
        self._client.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


def _is_timeout(error: Exception) -> bool:
    text = str(error).lower()
    said = ("timeout", "protocol banner", "no existing session")
    return isinstance(error, TimeoutError) or any(each in text for each in said)


@contextmanager
def giving_up(client: paramiko.SSHClient, seconds: float, limit: str) -> Iterator[None]:
    """Close a connection on which a block takes too long; TimeoutError names the limit.

    Paramiko itself waits without an end for a host that no longer answers.
    """
    late = threading.Event()

    def give_up() -> None:
        late.set()
        client.close()

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except BROKEN as error:
        if not late.is_set():
            raise
        raise TimeoutError(f"no answer for {seconds:g} s, the limit ({limit})") from error
    finally:
        timer.cancel()


class SshPlace(ShellPlace):
    """The host of an SSH connection; each command has a session of its own.

    :param hook: of the connection
    """

    shell = '"${SHELL:-sh}"'
    """The account's own: the one that would run the script without us."""

    def __init__(self, hook: SSHHook, clock: Clock = SYSTEM_CLOCK) -> None:
        self.hook = hook
        self.clock = clock
        self._connecting = threading.Lock()

    def __str__(self) -> str:
        return f"SSH connection {self.hook.ssh_conn_id}"

    @contextmanager
    def open(self, script: str, limit: float, connect_seconds: float = 0.0) -> Iterator[Session]:
        """Start a script; SessionDropped if the session ends first, and what `get_conn` raises.

        :param connect_seconds: for how long a connection that cannot be opened is tried again
        """
        with self._connect(connect_seconds) as client:
            seconds = getattr(self.hook, "limits", DEFAULT_LIMITS).answer_seconds
            try:
                with giving_up(client, seconds, "limits.answer_seconds"):
                    transport = client.get_transport()
                    assert transport is not None
                    channel = transport.open_session()
                    channel.exec_command(bounded(script, limit, self.shell))
            except BROKEN as error:
                raise dropped(error) from error
            with closing(channel):
                yield channel

    def _relay(self, path: str) -> str:
        return f"exec sudo -n {socat(path)}"

    def _connect(self, seconds: float) -> paramiko.SSHClient:
        end = self.clock.elapsed() + seconds
        while True:
            try:
                with self._connecting:
                    # The hook would hand out again what another command is about to close.
                    self.hook.client = None
                    return self.hook.get_conn()
            except Exception:
                if self.clock.elapsed() >= end:
                    raise
            self.clock.sleep(RECONNECT_PAUSE_SECONDS)
