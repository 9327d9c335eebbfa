"""Print the sudoers file that the nodes of a cloud need (`make sudoers`)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from keystone_rollout.domain.node.privileges import sudoers_text
from keystone_rollout.domain.node.steps import render_privileges
from keystone_rollout.hooks.files.cloud_file import CloudFileError, load_cloud


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the file; return 1, with the reason on stderr, if cloud file or account is wrong."""
    options = _parser().parse_args(arguments)
    try:
        print(node_sudoers(options.cloud, options.account, options.source, options.target), end="")
    except (CloudFileError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def node_sudoers(name: str, account: str, source: str = "", target: str = "") -> str:
    """Return the sudoers file for an account on the nodes of a cloud.

    ``source`` and ``target``, if given, replace the cloud file's releases. Raises CloudFileError
    with all findings, and ValueError for an account or a privilege that sudoers cannot hold.
    """
    cloud = load_cloud(name, source, target)
    return sudoers_text(
        account,
        render_privileges(cloud.node_steps, cloud.node_facts),
        cloud.limits.node.command_seconds,
        f"What the upgrade of cloud {cloud.name}, {cloud.source} to {cloud.target}, does as root.",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m keystone_rollout.cli.sudoers", description=__doc__
    )
    parser.add_argument("cloud", help="name of the file in include/clouds, without .yaml")
    parser.add_argument("--account", default="rollout", help="login of the SSH connections")
    parser.add_argument("--source", default="", help="release, instead of the file's")
    parser.add_argument("--target", default="", help="release, instead of the file's")
    return parser


if __name__ == "__main__":
    sys.exit(main())
