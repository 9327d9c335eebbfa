"""Run a node's steps over SSH."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from airflow.providers.ssh.hooks.ssh import SSHHook
from paramiko import SSHException

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud, Node
from keystone_rollout.domain.node.command_lock import (
    FOLDER,
    TIMED_OUT,
    under_lock,
    wait_for_lock,
    why_not_started,
    without_first_line,
)
from keystone_rollout.domain.node.privileges import check_command
from keystone_rollout.domain.node.steps import (
    Step,
    configuration_files,
    node_command,
    render_privileges,
)
from keystone_rollout.domain.places.place import Finished, SessionDropped, TimedOut
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.places.ssh import SshConnection, SshPlace, giving_up

log = logging.getLogger(__name__)

CHANGING = frozenset(Step) - {
    Step.REPORT_RELEASE,
    Step.KEY_FINGERPRINT,
    Step.REPORT_CACHE,
    Step.CHECK_KEPT,
    Step.FLUSH_CACHE,
}
"""Steps that change the node: never two of them at a time."""

RECONNECT_SECONDS = 20.0
"""Seconds for which a node whose session dropped is tried again."""

ANSWER_SECONDS = 30.0
"""Seconds beyond the limits on the node itself, so that their end is noticed here."""


class StepFailed(RuntimeError):
    """A failed step of a node, with its exit status and its last lines."""


class NodeMachine:
    """One node, on which rendered steps run (keystone_rollout.domain.node.cycle.Machine).

    :param ssh: hook to use; by default one is made from the node's connection
    :param note: is called with a sentence about a session that dropped
    """

    def __init__(
        self,
        cloud: Cloud,
        node: Node,
        ssh: SSHHook | None = None,
        note: Callable[[str], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.cloud = cloud
        self.node = node
        self.ssh = ssh or SshConnection(node.ssh, limits=cloud.limits)
        self.note = note or (lambda text: None)
        self.clock = clock
        self.place = SshPlace(self.ssh, clock)

    @property
    def limit(self) -> float:
        """Return the seconds that one command may take, and may wait for another one."""
        return self.cloud.limits.node.command_seconds

    def run(self, step: Step, release: str) -> str:
        """Run one step for one release and return its output.

        If the session drops, the step is run once more, after the command that went on without it
        has ended. Raises StepFailed on a non-zero exit, on a time-out, and if the node cannot be
        reached.
        """
        text = node_command(self.cloud.node_steps, step, release, self.cloud.node_facts)
        if step not in CHANGING:
            return self._shell(step.value, text)
        command = under_lock(f"{step.value} {release}", text, self.limit)
        return self._shell(step.value, command, alone=True)

    def privileges(self) -> list[str]:
        """Return all commands that the steps of this node run through sudo."""
        return render_privileges(self.cloud.node_steps, self.cloud.node_facts)

    def missing_privileges(self) -> list[str]:
        """Return the privileges that the node's account lacks; StepFailed as in `run`."""
        return self._shell("sudo -l", check_command(self.privileges())).splitlines()

    def _shell(self, name: str, command: str, alone: bool = False) -> str:
        """Run a command, and once more if its session drops; ``alone``: under the lock."""
        try:
            finished = self._run(command, alone)
        except SessionDropped as dropped:
            log.warning("%s: step %s: %s", self.node.name, name, dropped)
            return self._once_more(name, command, alone, dropped)
        except Exception as error:
            raise self._unreachable(name, error) from error
        return self._output(name, finished, alone)

    def _once_more(self, name: str, command: str, alone: bool, dropped: SessionDropped) -> str:
        waited = ""
        try:
            if alone:
                began = self.clock.elapsed()
                waiting = wait_for_lock(name, self.limit)
                self._output(name, self._run(waiting, alone, RECONNECT_SECONDS))
                seconds = self.clock.elapsed() - began
                waited = f"waited {seconds:.1f} s for the command that went on; "
            output = self._output(name, self._run(command, alone, RECONNECT_SECONDS), alone)
        except Exception as error:
            reason = error if isinstance(error, StepFailed) else self._unreachable(name, error)
            raise StepFailed(
                f"{reason}. That was the second try; in the first {dropped}"
            ) from error
        text = f"session dropped during {name}; {waited}ran it again"
        log.warning("%s: %s", self.node.name, text)
        self.note(text)
        return output

    def _run(self, command: str, alone: bool, connect_seconds: float = 0.0) -> Finished:
        # One that runs alone keeps its limit itself, after it may have waited as long for another.
        # If something had to end it from without, its script would go on, and so would the lock.
        limit = 2 * self.limit + ANSWER_SECONDS if alone else self.limit
        silence = self.limit + ANSWER_SECONDS
        try:
            return self.place.run(
                command, limit=limit, silence=silence, connect_seconds=connect_seconds
            )
        except TimedOut as late:
            return Finished(TIMED_OUT, late.finished.output, late.finished.errors)

    def _unreachable(self, name: str, error: Exception) -> StepFailed:
        return StepFailed(
            f"{self.node.name}: step {name} could not run over SSH connection {self.node.ssh}: "
            f"{error}"
        )

    def _output(self, name: str, finished: Finished, alone: bool = False) -> str:
        """Return a command's output; StepFailed if its exit status is not 0."""
        status = finished.status
        output = without_first_line(finished.output) if alone else finished.output
        if status == 0:
            return output
        reason = why_not_started(status, finished.output)
        if reason is not None:
            raise StepFailed(
                f"{self.node.name}: step {name} was not started: {reason}. The limit is "
                "limits.node.command_seconds; what holds the lock may still change the node. "
                "Next: let it end, or end it on the node"
            )
        lines = (finished.errors or output).strip().splitlines()[-5:]
        why = f" (not done within {self.limit:g} s)" if status == TIMED_OUT else ""
        raise StepFailed(
            f"{self.node.name}: step {name} ended with exit status {status}{why}, allowed is 0. "
            f"It printed: {' | '.join(lines) or 'nothing'}"
        )

    def send_configuration(self) -> None:
        """Put the target release's configuration into the node's staging directory.

        Raises StepFailed if a file is missing here, or cannot be sent.
        """
        steps, target = self.cloud.node_steps, self.cloud.target
        if steps.configuration is None:
            return
        source = project_path(steps.configuration)
        folder = f"{FOLDER}/{target}"
        try:
            with (
                self.ssh.get_conn() as client,
                giving_up(client, self.limit, "limits.node.command_seconds"),
                client.open_sftp() as sftp,
            ):
                for part in (FOLDER, folder):
                    if Path(part).name not in sftp.listdir(str(Path(part).parent)):
                        sftp.mkdir(part, mode=0o700)
                for name in configuration_files(steps, target, self.cloud.node_facts):
                    path = f"{folder}/{name}"
                    with sftp.open(f"{path}.part", "w") as stream:
                        stream.chmod(0o600)
                        stream.write((source / name).read_bytes())
                    sftp.posix_rename(f"{path}.part", path)
        except (SSHException, EOFError, OSError) as error:
            raise StepFailed(
                f"{self.node.name}: the configuration in {source} could not be sent over SSH "
                f"connection {self.node.ssh}: {str(error) or type(error).__name__}"
            ) from error
