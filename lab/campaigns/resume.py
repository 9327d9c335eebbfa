"""Resume a stopped campaign: find the known users, and check that the database is the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from keystone_rollout.hooks.files.run_directory import RunDirectory
from lab.campaigns.campaign import Campaign, Plan
from lab.campaigns.row import Row
from lab.cloud import database
from lab.cloud.secrets import Secrets
from lab.data import known_users
from lab.data.known_users import KnownUser
from machine.errors import CommandError

START_OVER = "Next: start over with make odyssey"


def stopped_campaign(plan: Plan) -> Campaign:
    """Return the campaign that stopped, its red row set aside; CommandError if none did."""
    campaign = Campaign.read(plan)
    rows = campaign.rows
    if not rows or rows[-1].state == "green":
        raise CommandError(f"{plan.data}: the way has not stopped. {START_OVER}")
    last = rows[-1]
    if len(rows) == 1:
        raise CommandError(f"{plan.data}: no hop of the way was green. {START_OVER}")
    found, wanted = database.read_version_tables(), last.tables_after
    if found != wanted:
        raise CommandError(
            f"the database stands at {json.dumps(found)}, the way stopped at {json.dumps(wanted)} "
            f"(allowed: no difference): it is another one, or somebody has worked on it. "
            f"{START_OVER}"
        )
    campaign.put_aside(last)
    return campaign


def known_so_far(campaign: Campaign, runs: Path, secrets: Secrets, at_once: int) -> list[KnownUser]:
    """Return every user who was made on the way so far, also in the rows that were set aside.

    Their names are known, or in the ledgers of the load; their number is in the rows. CommandError
    if the two differ, because a user would be forgotten at the end.

    :param runs: folder of all runs' directories
    :param at_once: how many users are made before, and in the middle of, each hop
    """
    users = known_users.seed_users(secrets.seed_users)
    rows = sorted(campaign.content.rows, key=lambda row: row.began)
    for place, row in enumerate(rows):
        directory = RunDirectory(row.run_id, runs).path
        made = known_users.load_users(directory, secrets.keystone_admin)
        prefix = name_prefix(row.key, rows[:place])
        for when in ("before", "middle"):
            # In a hop that was red early, no user was made in its middle.
            if len(users) + len(made) < (row.users or 0):
                made += known_users.created_users(secrets.seed_users, f"{prefix}-{when}", at_once)
        users += made
        if len(users) != row.users:
            raise CommandError(
                f"after {row.title} {row.users} users were known, {len(users)} are found again "
                f"(allowed: no difference); read {directory}. {START_OVER}"
            )
    return users


def name_prefix(key: str, earlier: Sequence[Row]) -> str:
    """Return how the names of users begin that are made in an attempt at a hop.

    :param earlier: rows of earlier runs, those of earlier attempts among them
    """
    attempt = 1 + sum(row.key == key for row in earlier)
    return f"odyssey-{key}" if attempt == 1 else f"odyssey-{key}-attempt{attempt}"
