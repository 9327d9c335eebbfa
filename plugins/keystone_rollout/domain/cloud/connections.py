"""List the Airflow connections that a cloud file names, and the fields that each needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.cloud.notifications import Way

FILL_IN = "FILL-IN"


@dataclass(frozen=True)
class WantedConnection:
    """One connection in Airflow's fields, with FILL_IN for values that only the operator knows."""

    name: str
    purpose: str
    fields: dict[str, object]


def wanted_connections(cloud: Cloud) -> list[WantedConnection]:
    """Return every connection of a cloud once; ValueError if two purposes of one clash."""
    unique: dict[str, WantedConnection] = {}
    for each in _all(cloud):
        known = unique.get(each.name)
        if known is None:
            unique[each.name] = each
            continue
        if known.fields["conn_type"] != each.fields["conn_type"]:
            raise ValueError(
                f"connection {each.name} is named as {known.purpose} and as {each.purpose}, "
                "which have different types; give one of them another name"
            )
        purpose = f"{known.purpose}; {each.purpose}"
        unique[each.name] = WantedConnection(each.name, purpose, known.fields)
    return list(unique.values())


def _all(cloud: Cloud) -> Iterator[WantedConnection]:
    databases = cloud.databases
    schema = databases.schema_name
    yield _database(databases.reader, f"reads schema {schema}: SELECT on it", schema)
    yield _database(databases.keystone, "Keystone's own account, as in keystone.conf", schema)
    yield _database(databases.administrator, "SET GLOBAL, PROCESS, dump, create schemas", None)
    for balancer in cloud.load_balancers:
        purpose = f"runtime API of {balancer.name}"
        fields = {"conn_type": "generic", "host": FILL_IN, "port": 9999}
        yield WantedConnection(balancer.connection, purpose, fields)
    yield WantedConnection(
        cloud.api.connection,
        "Keystone past the load balancers, and an administrator",
        {
            "conn_type": "generic",
            "host": "https://FILL-IN:5000/v3",
            "login": "admin",
            "password": FILL_IN,
            "extra": {
                "user_domain_name": "Default",
                "project_name": "admin",
                "project_domain_name": "Default",
            },
        },
    )
    for node in cloud.nodes:
        yield WantedConnection(node.ssh, f"SSH of {node.name}", _ssh())
    for each in cloud.notifications:
        yield WantedConnection(each.connection, f"notifications by {each.via}", _receiver(each.via))


def _database(name: str, purpose: str, schema: str | None) -> WantedConnection:
    fields: dict[str, object] = {
        "conn_type": "mysql",
        "host": FILL_IN,
        "port": 3306,
        "login": FILL_IN,
        "password": FILL_IN,
        "extra": {"client": "mysql-connector-python"},
    }
    if schema is not None:
        fields["schema"] = schema
    return WantedConnection(name, purpose, fields)


def _receiver(via: Way) -> dict[str, object]:
    """Return the fields that the notifier of a way needs, see docs/notifications.md."""
    receivers: dict[Way, dict[str, object]] = {
        "smtp": {
            "conn_type": "smtp",
            "host": FILL_IN,
            "port": 587,
            "login": FILL_IN,
            "password": FILL_IN,
            "extra": {"from_email": FILL_IN, "disable_ssl": True},
        },
        "slack": {"conn_type": "slackwebhook", "password": FILL_IN},
        "apprise": {"conn_type": "apprise", "extra": {"config": [{"path": FILL_IN}]}},
    }
    return receivers[via]


def _ssh() -> dict[str, object]:
    return {
        "conn_type": "ssh",
        "host": FILL_IN,
        "port": 22,
        "login": "rollout",
        "extra": {
            "key_file": f"/{FILL_IN}",
            "host_key": f"ssh-ed25519 {FILL_IN}",
            "no_host_key_check": False,
            "conn_timeout": 10,
        },
    }
