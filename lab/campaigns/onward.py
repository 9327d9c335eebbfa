"""The lab at the next source release, with the database and the keys as they are."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from lab import paths, reset
from lab import up as bring_up
from lab.cloud import database
from lab.data import content
from lab.hop import Hop
from lab.topology import NODES
from machine import engine
from machine.errors import CommandError
from machine.progress import Report


def go_on(hop: Hop, report: Report) -> None:
    """Make the nodes anew at the source of *hop*, with all that an upgrade to its target needs.

    This hop begins with the database that the earlier one left: nothing is loaded into it, and
    CommandError is raised if its content has changed afterwards. The caches begin empty, and the
    earlier hop's backups are removed, because eighteen of them would fill a disk.
    """
    kept = facts()
    client = engine.connect()
    forget_earlier_hop()
    bring_up.prepare_state(client, hop)
    with ThreadPoolExecutor(3) as pool:
        target_ready = bring_up.make_parts(client, hop, pool, report)
        reset.recreate_nodes(client, NODES, report)
        content.empty_caches(client)
        reset.restart_balancer(client)
        content.wait_until_serving(report)
        target_ready.result()
    now = facts()
    if now != kept:
        raise CommandError(
            f"the database has changed between two hops: it held {json.dumps(kept)}, now "
            f"{json.dumps(now)} (allowed: no change). What follows would prove nothing about the "
            "data of before. Next: find out who wrote into it, then start again"
        )


def facts() -> dict[str, object]:
    """Return the facts that tell this database from another one."""
    return {
        "version tables": database.read_version_tables(),
        "users": database.count_users(),
    }


def forget_earlier_hop() -> None:
    """Remove backups and binary logs: the next hop makes its own, verified, backup."""
    for path in (paths.STATE / "backups").glob("*"):
        path.unlink()
    # Only a lab may forget its binary log.
    database.execute("RESET MASTER")
