"""Print the connections of a cloud to fill in (`make connections`)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import yaml

from keystone_rollout.domain.cloud.connections import FILL_IN, wanted_connections
from keystone_rollout.hooks.files.cloud_file import CloudFileError, load_cloud

HEAD = f"""\
# The Airflow connections of cloud {{cloud}}.
# This file will hold passwords: keep it at mode 600, and remove it once they are stored. Replace
# every {FILL_IN}, then store all of them by one command:
#   airflow connections import --overwrite <this file, its name ending in .yaml>
# or, where `make airflow` brought Airflow up: make airflow-connections FILE=<this file>
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the file; return 1, with the reason on stderr, if the cloud file is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m keystone_rollout.cli.connections", description=__doc__
    )
    parser.add_argument("cloud", help="name of the cloud file, without .yaml")
    name = parser.parse_args(arguments).cloud
    try:
        print(connections_text(name), end="")
    except (CloudFileError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def connections_text(name: str) -> str:
    """Return the connections of a cloud in YAML as `airflow connections import` reads it."""
    text = HEAD.format(cloud=name)
    for each in wanted_connections(load_cloud(name)):
        body = yaml.safe_dump({each.name: each.fields}, sort_keys=False)
        text += f"\n# {each.purpose}\n{body}"
    return text


if __name__ == "__main__":
    sys.exit(main())
