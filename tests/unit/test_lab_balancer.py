"""Reading HAProxy's states, and the hashes that decide what is built again."""

from pathlib import Path

from lab.cloud.balancer import Server, parse_servers
from machine.engine import digest, digest_directory

STATISTICS = """# pxname,svname,scur,status,weight
keystone,FRONTEND,0,OPEN,
keystone,keystone-1,0,UP,1
keystone,keystone-2,0,DRAIN,1
keystone,keystone-3,0,MAINT,1
keystone,keystone-4,0,DOWN 1/2,1
keystone,BACKEND,0,UP,1
statistics,other,0,UP,1
"""


def test_states_are_split_into_operational_and_administrative() -> None:
    servers = parse_servers(STATISTICS)
    assert servers == [
        Server("keystone-1", "UP", "ready"),
        Server("keystone-2", "UP", "drain"),
        Server("keystone-3", "DOWN", "maint"),
        Server("keystone-4", "DOWN", "ready"),
    ]
    assert [server.serves for server in servers] == [True, False, False, False]


def test_a_hash_depends_on_where_one_part_ends() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab") == digest(b"ab")


def test_a_directorys_hash_depends_on_names_modes_and_contents(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM x\n")
    seen = [digest_directory(tmp_path)]
    file.chmod(0o755)
    seen.append(digest_directory(tmp_path))
    file.write_text("FROM y\n")
    seen.append(digest_directory(tmp_path))
    file.rename(tmp_path / "Other")
    seen.append(digest_directory(tmp_path))
    assert len(set(seen)) == 4
