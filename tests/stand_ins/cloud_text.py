"""A small cloud file, and the findings of one that is wrong."""

from __future__ import annotations

import pytest

from keystone_rollout.hooks.files.cloud_file import CloudFileError, parse_cloud

GOOD = """\
name: small
source: 12.0.3
target: 13.0.4
upgrade_container:
  image: keystone:{{ target }}
  configuration: etc/{{ target }}
databases: {reader: r, keystone: k, administrator: a}
load_balancers:
  - {name: h, connection: c, backend: keystone}
api: {connection: api}
nodes:
  - name: one
    ssh: ssh_one
    server: s1
    url: http://127.0.0.1:5001/v3
  - name: two
    ssh: ssh_two
    server: s2
    url: http://127.0.0.1:5002/v3
node_steps:
  preset: apt
  variables: {repository: "deb http://packages/{{ release }} ./"}
backup_directory: backups
"""
STAGING = "staging: true\nrehearsal:\n  schedule: 0 2 * * *\n  reset: [bin/reset, '{{ source }}']\n"


def findings(text: str, source: str = "", target: str = "") -> list[str]:
    with pytest.raises(CloudFileError) as caught:
        parse_cloud(text, "small.yaml", source, target)
    first, *rest = str(caught.value).split("\n- ")
    assert first == f"small.yaml has {len(rest)} finding(s), nothing was touched:"
    return rest
