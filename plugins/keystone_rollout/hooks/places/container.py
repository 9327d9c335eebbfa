"""A container as a place: on this machine, or on a host that is a place itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from keystone_rollout.domain.places.script import bounded
from keystone_rollout.hooks.places.exchange import BROKEN, Session
from keystone_rollout.hooks.places.shell import ANSWER_SECONDS, ShellPlace


class ContainerPlace(ShellPlace):
    """A running container with bash and coreutils in it.

    The script goes in through standard input, so the command is the same every time and one
    complete line of sudoers: `docker exec -i <name> bash`. Killing that command would not end the
    script, so the limit is kept in the container.

    :param host: place whose engine runs the container
    :param program: Docker's or podman's client there, after `sudo -n` if the account needs it
    """

    def __init__(self, host: ShellPlace, name: str, program: Sequence[str] = ("docker",)) -> None:
        self.host = host
        self.name = name
        self.program = tuple(program)
        self.clock = host.clock

    def __str__(self) -> str:
        return f"container {self.name} on {self.host}"

    @contextmanager
    def open(self, script: str, limit: float, connect_seconds: float = 0.0) -> Iterator[Session]:
        """Start a script in the container."""
        command = shlex.join([*self.program, "exec", "-i", self.name, "bash"])
        with self.host.open(command, limit + ANSWER_SECONDS, connect_seconds) as session:
            # Read to the closing brace before anything runs: bash takes no byte too many from a
            # pipe, so what follows is the script's own input.
            # If there is no such container, the client has ended by now, and says so itself.
            with suppress(*BROKEN):
                session.sendall(f"{{\n{bounded(script, limit, self.shell)}\n}}\n".encode())
            yield session
