"""Every hop of the catalogue, one full rehearsal each: ``make hops``."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from rich.table import Table

from lab import paths
from lab.campaigns.hop_clouds import write_clouds
from lab.campaigns.hop_file import HopFile, MatrixRun
from lab.campaigns.hop_list import ReleasePair, all_hops, pick_hops
from lab.campaigns.hop_page import failed_of_total, notes, schema_change
from lab.campaigns.hop_record import HopRecord
from lab.campaigns.hop_run import run_hop, utc_now
from lab.campaigns.markdown import decimal, duration, gibibytes
from lab.campaigns.peak_memory import PeakMemory, this_machine
from lab.cli import only_one_at_a_time
from machine.errors import CommandError
from machine.progress import Report

FILE = paths.ROOT / "docs" / "hops.json"
Measure = Callable[[ReleasePair, str, Report], HopRecord]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the hops that were asked for; 0 only if every one that could be run is green."""
    parser = argparse.ArgumentParser(prog="python -m lab hops", description=__doc__)
    parser.add_argument("--only", default="", help="hops such as 12-13,13-14; by default all")
    options = parser.parse_args(arguments)
    try:
        pairs = pick_hops(options.only, all_hops())
        file = HopFile(FILE, [pair.key for pair in all_hops()])
        measure = partial(run_hop, clouds=write_clouds(paths.STATE / "hops"))
        with only_one_at_a_time(), Report() as report:
            return measure_all(pairs, file, command(options.only), report, measure)
    except CommandError as error:
        print(f"error: {error}")
        return 1


def command(only: str) -> str:
    """Return what somebody types to do the same again."""
    folder = "KEYSTONE_DIST=... " if os.environ.get("KEYSTONE_DIST") else ""
    return f"{folder}make hops" + (f" HOPS={only}" if only else "")


def measure_all(
    pairs: Sequence[ReleasePair],
    file: HopFile,
    typed: str,
    report: Report,
    measure: Measure,
) -> int:
    """Measure hops one after another, writing after each; return the exit code.

    A red hop does not stop the others.
    """
    began = time.monotonic()
    with PeakMemory() as memory:
        run = MatrixRun(utc_now(), typed, this_machine(), start_bytes=memory.start_bytes)
        records = []
        for pair in pairs:
            records.append(measure(pair, run.began, report))
            run = replace(run, seconds=time.monotonic() - began, peak_bytes=memory.peak_bytes)
            file.keep(records[-1], run)
    report.console.print(overview(records))
    for record in records:
        if record.state != "green":
            report.line(f"{record.key} is {record.state}: {record.reason}")
    report.line(
        f"{sum(record.state == 'green' for record in records)} of {len(records)} hops are green; "
        f"{duration(run.seconds)}, peak of used memory {gibibytes(run.peak_bytes)} above the start"
    )
    report.line(f"written: {file.page} and {file.data}")
    return exit_code(records)


def exit_code(records: Sequence[HopRecord]) -> int:
    """Return 0 if at least one hop ran, and all are green but those that lack their sources.

    A hop that could not be built is no success, although it never ran.
    """
    counted = [record for record in records if not record.lacks_sources]
    return 0 if counted and all(record.state == "green" for record in counted) else 1


def overview(records: Sequence[HopRecord]) -> Table:
    """Return the table for the terminal."""
    table = Table(title="hops", title_justify="left")
    for column in ("hop", "", "verdict", "failed of total", "p99", "schema", "notes"):
        table.add_column(column)
    for record in records:
        table.add_row(
            record.key,
            record.title,
            record.state,
            failed_of_total(record),
            decimal(record.p99_ratio, " ×", 2),
            schema_change(record),
            "; ".join(notes(record)),
        )
    return table
