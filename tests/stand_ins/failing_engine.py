"""An engine that runs one container, and is lost at a call that a test chooses."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from docker.errors import NotFound

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.docker.container import PhaseContainer


class FailingEngine:
    """Docker's client, as far as a phase uses it, and the engine around it.

    :param fails: name of the call at which ``error`` is raised; "stream" is while the log is read
    :param away: whether no call is answered after that one
    """

    def __init__(
        self, cloud: Cloud, fails: str = "", error: Exception | None = None, away: bool = False
    ) -> None:
        self.fails = fails
        self.error = error
        self.away = away
        self.calls: list[str] = []
        self.status: str | None = None
        self.exit_status = 0
        self.container = PhaseContainer(cloud)
        self.hook: Any = SimpleNamespace(api_client=self, client_created=True)
        self.container.hook = self.hook

    def _call(self, name: str) -> None:
        lost = self.away and self.fails in self.calls
        self.calls.append(name)
        if name == self.fails or lost:
            assert self.error is not None
            raise self.error

    def images(self, name: str) -> list[str]:
        self._call("images")
        return [name]

    def create_host_config(self, **_options: Any) -> dict[str, Any]:
        return {}

    def create_container(self, **_options: Any) -> dict[str, str]:
        self._call("create")
        self.status = "created"
        return {"Id": "c1"}

    def put_archive(self, *_arguments: Any) -> bool:
        self._call("put_archive")
        return True

    def attach(self, **_options: Any) -> Iterator[bytes]:
        self._call("attach")
        return self._stream()

    def _stream(self) -> Iterator[bytes]:
        yield b"first line\n"
        self._call("stream")

    def start(self, _container: str) -> None:
        self._call("start")
        self.status = "running"

    def wait(self, _container: str, **_options: Any) -> dict[str, int]:
        self._call("wait")
        self.status = "exited"
        return {"StatusCode": self.exit_status}

    def inspect_container(self, name: str) -> dict[str, Any]:
        self._call("inspect")
        if self.status is None:
            raise NotFound(f"No such container: {name}")
        return {
            "State": {
                "Status": self.status,
                "Running": self.status == "running",
                "ExitCode": self.exit_status,
            }
        }

    def remove_container(self, _name: str, **_options: Any) -> None:
        self._call("remove")
        self.status = None
