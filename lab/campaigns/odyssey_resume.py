"""Take the long way up again where it stopped: who is known, and that the database is the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from keystone_rollout.hooks.files.run_directory import RunDirectory
from lab.campaigns.odyssey_page import Odyssey, Stage
from lab.cloud.secrets import Secrets
from lab.data import known_users, version_tables
from lab.data.known_users import KnownUser
from machine.errors import CommandError

START_OVER = "Next: start over with make odyssey"


def stopped_way(file: Path) -> Odyssey:
    """Return the way that stopped, its red hop set aside; CommandError where there is none."""
    try:
        way = Odyssey.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(
            f"{file} holds no way to go on with ({type(error).__name__}: {error}). {START_OVER}"
        ) from error
    if not way.reason or not way.stages:
        raise CommandError(f"{file}: the way has not stopped ({way.verdict()}). {START_OVER}")
    *done, red = way.stages
    if not done:
        raise CommandError(f"{file}: no hop of the way was green. {START_OVER}")
    found, wanted = version_tables.read_version_tables(), red.record.schema.tables_after
    if found != wanted:
        raise CommandError(
            f"the database stands at {json.dumps(found)}, the way stopped at {json.dumps(wanted)} "
            f"(allowed: no difference): it is another one, or somebody has worked on it. "
            f"{START_OVER}"
        )
    return replace(way, stages=done, set_aside=[*way.set_aside, red], reason="")


def known_so_far(way: Odyssey, runs: Path, secrets: Secrets, at_once: int) -> list[KnownUser]:
    """Return everyone who was made on the way so far, the hops that were set aside included.

    Their names are known, or stand in the ledgers of the load; how many there have to be stands in
    the way. CommandError where that differs: somebody would be forgotten at the end.

    :param runs: folder of all runs' directories
    :param at_once: how many users are made before, and in the middle of, each hop
    """
    users = known_users.seed_users(secrets.seed_users)
    for stage in sorted([*way.stages, *way.set_aside], key=lambda each: each.record.began):
        directory = RunDirectory(stage.record.run_id, runs).path
        made = known_users.load_users(directory, secrets.keystone_admin)
        prefix = name_prefix(stage.record.key, _attempt(way, stage))
        for when in ("before", "middle"):
            # In a hop that was red early, nobody was made in its middle.
            if len(users) + len(made) < stage.users:
                made += known_users.created_users(secrets.seed_users, f"{prefix}-{when}", at_once)
        users += made
        if len(users) != stage.users:
            raise CommandError(
                f"after {stage.record.title} {stage.users} users were known, {len(users)} are "
                f"found again (allowed: no difference); read {directory}. {START_OVER}"
            )
    return users


def name_prefix(key: str, attempt: int) -> str:
    """Return how the names of users begin that are made in one attempt at a hop."""
    return f"odyssey-{key}" if attempt == 1 else f"odyssey-{key}-attempt{attempt}"


def _attempt(way: Odyssey, stage: Stage) -> int:
    if stage in way.set_aside:
        same = [each for each in way.set_aside if each.record.key == stage.record.key]
        return same.index(stage) + 1
    return way.attempts(stage.record.key) + 1
