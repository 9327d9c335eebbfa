"""HAProxy's states are read as HAProxy means them."""

from lab.cloud.balancer import Server, parse_servers

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
