"""Run a node's steps over SSH."""

from __future__ import annotations

from pathlib import Path

from airflow.providers.ssh.hooks.ssh import SSHHook

from hooks.cloud_file import project_path
from rollout.cloud import Cloud, Node
from rollout.node_privileges import check_command
from rollout.node_steps import Step, configuration_files, render, render_privileges


class StepFailed(RuntimeError):
    """Say which step failed on which node, with the exit status and the last lines it printed."""


class NodeMachine:
    """Run rendered steps on one node (rollout.node_cycle.Machine).

    :param ssh: hook to use; by default one is made from the node's connection
    """

    def __init__(self, cloud: Cloud, node: Node, ssh: SSHHook | None = None) -> None:
        self.cloud = cloud
        self.node = node
        self.ssh = ssh or SSHHook(ssh_conn_id=node.ssh, cmd_timeout=None)

    def run(self, step: Step, release: str) -> str:
        """Run one step for one release and return what it printed.

        Raises StepFailed on a non-zero exit, on a dropped session (exit -1) and on a time-out.
        """
        text = render(self.cloud.node_steps, step, release, self.cloud.node_facts)
        return self._shell(step.value, text)

    def privileges(self) -> list[str]:
        """Return all commands that the steps of this node run through sudo."""
        return render_privileges(self.cloud.node_steps, self.cloud.node_facts)

    def missing_privileges(self) -> list[str]:
        """Return those of them that the node's account may not run; StepFailed as in `run`."""
        return self._shell("sudo -l", check_command(self.privileges())).splitlines()

    def _shell(self, name: str, command: str) -> str:
        limit = self.cloud.limits.node.command_seconds
        try:
            with self.ssh.get_conn() as client:
                status, out, err = self.ssh.exec_ssh_client_command(
                    client, command, get_pty=False, environment=None, timeout=int(limit)
                )
        except Exception as error:
            raise StepFailed(
                f"{self.node.name}: step {name} could not run over SSH connection "
                f"{self.node.ssh}: {error}"
            ) from error
        if status != 0:
            lines = (err or out).decode(errors="replace").strip().splitlines()[-5:]
            raise StepFailed(
                f"{self.node.name}: step {name} ended with exit status {status}, allowed is 0. "
                f"It printed: {' | '.join(lines) or 'nothing'}"
            )
        return out.decode(errors="replace")

    def send_configuration(self) -> None:
        """Put the target release's configuration into the node's staging directory."""
        if self.cloud.node_steps.configuration is None:
            return
        source = project_path(self.cloud.node_steps.configuration)
        folder = f"keystone-rollout/{self.cloud.target}"
        facts = self.cloud.node_facts
        names = configuration_files(self.cloud.node_steps, self.cloud.target, facts)
        with self.ssh.get_conn() as client, client.open_sftp() as sftp:
            for part in ("keystone-rollout", folder):
                if Path(part).name not in sftp.listdir(str(Path(part).parent)):
                    sftp.mkdir(part, mode=0o700)
            for name in names:
                target = f"{folder}/{name}"
                with sftp.open(f"{target}.part", "w") as stream:
                    stream.chmod(0o600)
                    stream.write((source / name).read_bytes())
                sftp.posix_rename(f"{target}.part", target)
