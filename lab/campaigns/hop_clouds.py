"""The lab's cloud file as hops are measured with it."""

from __future__ import annotations

from pathlib import Path

import yaml

from lab import paths

LAB_CLOUD = paths.ROOT / "include" / "clouds" / "lab.yaml"
RATE = 35
"""Actions per second: at 44 some releases fill two cores, which the upgrade needs, too."""


def write_clouds(folder: Path, *, keep_users: bool = False) -> Path:
    """Write the lab's cloud file with that load into *folder*, and return the folder.

    :param keep_users: leave what the load makes, so that it can be asked for later
    """
    cloud = yaml.safe_load(LAB_CLOUD.read_text(encoding="utf-8"))
    cloud["load"]["profile"]["rate"] = RATE
    cloud["load"]["clean_up"] = not keep_users
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lab.yaml").write_text(yaml.safe_dump(cloud, sort_keys=False), encoding="utf-8")
    return folder
