"""Write the upgrade as the plain shell script an operator would keep: same commands, same order.

It has no gate, no baseline, no record and no way back: the DAG's extra time pays for these.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from keystone_rollout.domain.cloud.model import Cloud, Node
from keystone_rollout.domain.node.steps import Step, render
from keystone_rollout.hooks.files.cloud_file import load_cloud, project_path
from lab.cloud import secrets
from lab.paths import CLIENT_KEY, KNOWN_HOSTS
from lab.topology import ADMIN, DATABASE_PORT, HAPROXY_PORT, HOST, NODES
from machine.files import write_private

PORTS = {node.name: node.ssh_port for node in NODES}
URLS = {node.name: node.url for node in NODES}
STAGING = "keystone-rollout"


def plain_script(cloud: Cloud, dump: Path, options: Path) -> str:
    """Return the script; ``options`` is the MariaDB client's option file with the password."""
    client = f"mariadb --defaults-extra-file={options}"
    lines = [
        "#!/usr/bin/env bash",
        "set -euo pipefail",
        f"mariadb-dump --defaults-extra-file={options} --single-transaction --quick --routines"
        f" --triggers --hex-blob {cloud.databases.schema_name} > {dump}",
        f"{client} -e 'DROP DATABASE IF EXISTS keystone_rollout_scratch;"
        " CREATE DATABASE keystone_rollout_scratch'",
        f"{client} keystone_rollout_scratch < {dump}",
        f"{client} -e 'DROP DATABASE keystone_rollout_scratch'",
        f"{client} -e 'SET GLOBAL log_bin_trust_function_creators = 1'",
        *(line for node in cloud.nodes for line in _stage(cloud, node)),
        *(_manage(cloud, command) for command in ("doctor", "token_flush")),
        *(_manage(cloud, f"db_sync --{phase}") for phase in ("expand", "migrate")),
        *(line for node in cloud.nodes for line in _cycle(cloud, node)),
        _manage(cloud, "db_sync --contract"),
        f"{client} -e 'SET GLOBAL log_bin_trust_function_creators = 0'",
    ]
    return "\n".join(lines) + "\n"


def _ssh(cloud: Cloud, node: Node, step: Step, release: str) -> str:
    command = render(cloud.node_steps, step, release, cloud.node_facts)
    return f"{_connection(node)} {shlex.quote(command)}"


def _connection(node: Node) -> str:
    return (
        f"ssh -n -q -i {CLIENT_KEY} -o UserKnownHostsFile={KNOWN_HOSTS}"
        f" -o StrictHostKeyChecking=yes -p {PORTS[node.name]} rollout@127.0.0.1"
    )


def _stage(cloud: Cloud, node: Node) -> list[str]:
    configuration = project_path(cloud.node_steps.configuration or "") / "keystone.conf"
    folder = f"{STAGING}/{cloud.target}"
    return [
        _ssh(cloud, node, Step.KEEP_CURRENT, cloud.source),
        f"{_connection(node).replace(' -n', '')} "
        + shlex.quote(f"umask 077; mkdir -p {folder}; cat > {folder}/keystone.conf")
        + f" < {configuration}",
        _ssh(cloud, node, Step.ENABLE_REPOSITORY, cloud.target),
        _ssh(cloud, node, Step.STAGE, cloud.target),
    ]


def _manage(cloud: Cloud, command: str) -> str:
    container = cloud.upgrade_container
    return (
        f"docker run --rm --network {container.network} -v"
        f" {project_path(container.configuration)}:/etc/keystone:ro {container.image}"
        f" {' '.join(container.command)} {command}"
    )


def _balancer(command: str) -> str:
    return f"exec 3<>/dev/tcp/{HOST}/{HAPROXY_PORT}; echo {shlex.quote(command)} >&3; cat <&3"


def _set(cloud: Cloud, node: Node, state: str) -> str:
    backend = cloud.load_balancers[0].backend
    return f"({_balancer(f'set server {backend}/{node.server} state {state}')})"


def _until(cloud: Cloud, node: Node, condition: str) -> str:
    backend = cloud.load_balancers[0].backend
    match = f'$1=="{backend}" && $2=="{node.server}" && {condition}'
    test = f"awk -F, '{match} {{ok=1}} END {{exit !ok}}'"
    return f"until ({_balancer('show stat')}) | {test}; do sleep 0.2; done"


def _cycle(cloud: Cloud, node: Node) -> list[str]:
    return [
        _set(cloud, node, "drain"),
        _until(cloud, node, "$5==0"),
        _set(cloud, node, "maint"),
        *(
            _ssh(cloud, node, step, cloud.target)
            for step in (Step.STOP, Step.INSTALL, Step.CONFIGURE, Step.START)
        ),
        f"until curl -fso /dev/null {URLS[node.name]}; do sleep 0.5; done",
        _set(cloud, node, "ready"),
        _until(cloud, node, '$18=="UP"'),
    ]


def write_script(folder: Path) -> Path:
    """Write the lab's script into a folder, beside the option file it needs; return its path."""
    options, path = folder / "administrator.cnf", folder / "plain_upgrade.sh"
    password = secrets.load().database_admin
    write_private(
        options,
        f"[client]\nprotocol=tcp\nhost={HOST}\nport={DATABASE_PORT}\nuser={ADMIN}\n"
        f'password="{password}"\n',
    )
    path.write_text(plain_script(load_cloud("lab"), folder / "dump.sql", options))
    path.chmod(0o700)
    return path
