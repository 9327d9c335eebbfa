"""Every hop of the catalogue, one full rehearsal each: ``make hops``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial

from lab import paths
from lab.campaigns.campaign import Campaign, Plan
from lab.campaigns.loop import measure_all
from lab.campaigns.pairs import all_hops, pick_hops
from lab.campaigns.rehearsals import run_hop, write_clouds
from lab.campaigns.row import Row
from lab.cli import only_one_at_a_time
from machine.errors import CommandError
from machine.progress import Report

OPENING = """\
# Every hop, measured

Each row is a full rehearsal in the lab: three nodes behind HAProxy, a database with 2,000 users,
the real DAG, and load from before the first change until after the last one. Green means that every
check held, 0 failed requests first of all. `make hops` measures and writes this page; a hop that
was not run this time keeps its earlier row.
"""
PLAN = Plan(paths.ROOT / "docs" / "hops.json", [pair.key for pair in all_hops()], OPENING)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the hops that were asked for; 0 only if every one that could be run is green."""
    parser = argparse.ArgumentParser(prog="python -m lab hops", description=__doc__)
    parser.add_argument("--only", default="", help="hops such as 12-13,13-14; by default all")
    options = parser.parse_args(arguments)
    try:
        pairs, campaign = pick_hops(options.only, all_hops()), Campaign.read(PLAN)
        with only_one_at_a_time(), Report() as report:
            clouds = write_clouds(paths.STATE / "hops")
            jobs = [partial(run_hop, pair, report=report, clouds=clouds) for pair in pairs]
            return exit_code(measure_all(jobs, campaign, command(options.only), report))
    except CommandError as error:
        print(f"error: {error}")
        return 1


def command(only: str) -> str:
    """Return the command line that does the same again."""
    folder = "KEYSTONE_DIST=... " if os.environ.get("KEYSTONE_DIST") else ""
    return f"{folder}make hops" + (f" HOPS={only}" if only else "")


def exit_code(rows: Sequence[Row]) -> int:
    """Return 0 if at least one hop ran, and all are green but those that lack their sources.

    A hop that could not be built is not a success, although it never ran.
    """
    counted = [row for row in rows if not row.lacks_sources]
    return 0 if counted and all(row.state == "green" for row in counted) else 1
