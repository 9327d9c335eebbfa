"""The script the DAG is measured against is valid, and runs the DAG's own commands in its order."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.plain_script import plain_script
from keystone_rollout.domain.node.steps import Step, render
from keystone_rollout.hooks.files.cloud_file import load_cloud


def test_the_plain_script_is_valid_shell_in_the_order_of_the_runbook(tmp_path: Path) -> None:
    cloud = load_cloud("lab")
    script = plain_script(cloud, tmp_path / "dump.sql", tmp_path / "administrator.cnf")
    checked = subprocess.run(
        ["bash", "-n"], input=script, text=True, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    marks = ["mariadb-dump", "doctor", "token_flush", "--expand", "--migrate", "state drain"]
    places = [script.index(mark) for mark in [*marks, "--contract"]]
    assert places == sorted(places)
    assert script.count("state drain") == len(cloud.nodes)
    install = render(cloud.node_steps, Step.INSTALL, cloud.target, cloud.node_facts).splitlines()[
        -1
    ]
    assert script.count(install) == len(cloud.nodes)
