"""The loop of rehearsals: one run after another, each a row that is written before the next."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import psutil
from rich.markdown import Markdown

from keystone_rollout.domain import units
from lab.campaigns.campaign import Campaign
from lab.campaigns.page import SUMMARY, rows_table, verdict
from lab.campaigns.peak_memory import PeakMemory
from lab.campaigns.row import Command, Row
from lab.data.known_users import Logins
from machine.progress import Report

Job = Callable[[str], Row]
"""Makes one run and returns its row; the argument is the command's beginning (Row.command)."""


def utc_now() -> str:
    """Return the present second."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def measure_all(
    jobs: Iterable[Job],
    campaign: Campaign,
    typed: str,
    report: Report,
    at_the_end: Callable[[], Logins] | None = None,
) -> list[Row]:
    """Run one job after another, write after each, and return the new rows.

    A red row stops the others only if the campaign's plan has an ``after_red``.

    :param typed: the command line that does the same again
    :param at_the_end: logs in as everyone, once all of the campaign's rows are green
    """
    began, rows = time.monotonic(), list[Row]()
    with PeakMemory() as memory:

        def command() -> Command:
            seconds = round(time.monotonic() - began, 1)
            return first.model_copy(update={"seconds": seconds, "peak_bytes": memory.peak_bytes})

        first = Command(
            began=utc_now(),
            typed=typed,
            cores=os.cpu_count() or 1,
            memory_bytes=psutil.virtual_memory().total,
            start_bytes=memory.start_bytes,
        )
        for job in jobs:
            rows.append(job(first.began))
            campaign.keep(rows[-1], command())
            if campaign.plan.after_red and rows[-1].state != "green":
                break
        if at_the_end and campaign.all_green:
            campaign.end(at_the_end())
            campaign.write(command())
        _tell(rows, campaign, command(), report)
    return rows


def _tell(rows: list[Row], campaign: Campaign, command: Command, report: Report) -> None:
    report.console.print(Markdown(rows_table(SUMMARY, rows)))
    for row in rows:
        if row.state != "green":
            report.line(f"{row.key} is {row.state}: {row.reason}")
    green = sum(row.state == "green" for row in rows)
    took, peak = units.duration(command.seconds), units.size(command.peak_bytes)
    report.line(
        f"{green} of {len(rows)} hops are green; {took}, peak of used memory {peak} above the start"
    )
    if campaign.plan.after_red and green < len(rows):
        report.line(campaign.plan.after_red)
    report.line(f"all so far: {verdict(campaign.content, len(campaign.plan.keys))}")
    report.line(f"written: {campaign.page} and {campaign.plan.data}")
