"""The page of a campaign, in Markdown: the same tables for all of them.

A column that is empty in every row is left out. So a campaign can add a field to the row and a
column here, and the others' pages stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from keystone_rollout.domain import units
from lab.campaigns.row import Command, Content, Row, failed_and_total
from lab.cloud.database import VersionTables
from lab.data.known_users import Logins

NOT_MEASURED = "–"
VERDICTS = {"green": "green", "red": "**RED**", "not run": "not run"}
SET_ASIDE = """\
The campaign stopped here, the cause was mended, and it went on from the same database. The requests
of these attempts are counted, and whoever was made in them has to log in at the end, too.
"""


class Column(NamedTuple):
    """A column of a table of rows; the name of one with numbers ends in a space."""

    name: str
    text: Callable[[Row], str]


def page(opening: str, content: Content, planned: int, after_red: str) -> str:
    """Return the page.

    :param planned: how many rows there will be in the end
    :param after_red: the consequence of a red row for those that follow
    """
    rows = [row for row in content.rows if not row.set_aside]
    ran = [row for row in rows if row.state != "not run"]
    set_aside = [row for row in content.rows if row.set_aside]
    parts = [opening, f"{verdict(content, planned)}\n", rows_table(SUMMARY, rows)]
    if reasons := evidence(rows):
        parts += ["## Why some are not green\n", reasons]
        parts += [f"{after_red}\n"] if after_red else []
    if set_aside:
        parts += ["## Red at first\n", SET_ASIDE, evidence(set_aside)]
    if content.everyone is not None:
        parts += ["## Users\n", logins_table(content.everyone)]
    if ran:
        parts += ["## Schema\n", rows_table(SCHEMA, ran), rows_table(VERSION_TABLES, ran)]
        parts += ["## Latency and time\n", rows_table(MEASUREMENTS, ran)]
    parts += ["## How it was measured\n", commands_table(content)]
    return "\n".join(parts)


def verdict(content: Content, planned: int) -> str:
    """Return the outcome in one line; red attempts that were set aside are counted, too."""
    rows = [row for row in content.rows if not row.set_aside]
    green = sum(row.state == "green" for row in rows)
    failed, total = failed_and_total(content.rows)
    found = [
        f"{green} of {planned} hops are green",
        f"{shown(failed)} of {shown(total)} requests failed",
    ]
    everyone = content.everyone
    if everyone is not None:
        users = f"{shown(everyone.authenticated)} of {shown(everyone.asked)} users log in"
        found.append(users if everyone.ok else f"**{users}**")
    return f"{', '.join(found)}."


def rows_table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Return the table of some rows, without the columns that are empty in all of them."""
    cells = [(column.name, [cell(column.text(row)) for row in rows]) for column in columns]
    filled = [(name, texts) for name, texts in cells if {*texts} - {NOT_MEASURED}]
    lines = zip(*(texts for _, texts in filled), strict=True)
    return table([name for name, _ in filled], [*lines])


def failed_of_total(row: Row) -> str:
    """Return how many requests failed of how many; without requests it is not "0 failed"."""
    if not row.requests:
        return NOT_MEASURED
    return f"{shown(row.failures)} of {shown(row.requests)}"


def schema_change(row: Row) -> str:
    """Return the schema's versions before and after."""
    if not row.before and not row.after:
        return NOT_MEASURED
    if not row.after:
        return f"at {by_phase(row.before)}, no phase was recorded"
    if row.before == row.after:
        return "none"
    if all(len(set(side.values())) == 1 for side in (row.before, row.after)):
        return f"{by_phase(row.before)} → {by_phase(row.after)}"
    return ", ".join(
        f"{phase} {row.before.get(phase, NOT_MEASURED)} → {after}"
        for phase, after in row.after.items()
        if row.before.get(phase) != after
    )


def notes(row: Row) -> str:
    """Return the particulars of a row."""
    if row.state == "not run":
        return "see below"
    # With alembic, it is normal that migrate has nothing to do.
    idle = [phase for phase in row.idle_phases if phase in row.heads]
    python = f"Python {row.source.python} → {row.target.python}"
    found = {
        "see below": row.state == "red",
        "skips a release": row.target.number - row.source.number > 1,
        f"nothing to do in {', '.join(idle)}": idle,
        f"version tables afterwards: {', '.join(row.tables_after)}": (
            row.tables_before.keys() != row.tables_after.keys()
        ),
        f"up to {row.triggers_most} triggers": row.triggers_most,
        "each release has a cache of its own": row.own_cache,
        python: row.source.python != row.target.python,
    }
    return "; ".join(text for text, holds in found.items() if holds)


def _tables(tables: VersionTables) -> str:
    return "; ".join(f"{name}: {', '.join(rows) or 'no row'}" for name, rows in tables.items())


def _logins(row: Row) -> str:
    return f"{row.logins.authenticated} of {row.logins.asked}" if row.logins else ""


def _triggers(row: Row) -> str:
    counts = (row.triggers_before, row.triggers_most, row.triggers_after)
    return " / ".join(shown(count) for count in counts)


def _out_of_rotation(row: Row) -> str:
    return ", ".join(f"{seconds:.1f} s" for seconds in row.out_of_rotation.values())


SUMMARY = (
    Column("hop", lambda row: f"{row.title} ({row.source.version} → {row.target.version})"),
    Column("verdict", lambda row: VERDICTS[row.state]),
    Column("failed of total ", failed_of_total),
    Column("p99 to baseline ", lambda row: shown(row.p99_ratio, "{:.2f} ×")),
    Column("schema change", schema_change),
    Column("users so far ", lambda row: shown(row.users)),
    Column("of a sample log in ", _logins),
    Column("notes", notes),
)
SCHEMA = (
    Column("hop", lambda row: row.title),
    Column("before", lambda row: by_phase(row.before)),
    Column("heads in the image", lambda row: by_phase(row.heads)),
    Column("after", lambda row: by_phase(row.after)),
    Column("triggers before / most / after", _triggers),
    Column("phases with nothing to do", lambda row: ", ".join(row.idle_phases) or "none"),
)
VERSION_TABLES = (
    Column("hop", lambda row: row.title),
    Column("version tables before", lambda row: _tables(row.tables_before)),
    Column("version tables afterwards", lambda row: _tables(row.tables_after)),
)
MEASUREMENTS = (
    Column("hop", lambda row: row.title),
    Column("p99 ", lambda row: shown(row.p99, "{:.0f} ms")),
    Column("baseline p99 ", lambda row: shown(row.baseline_p99, "{:.0f} ms")),
    Column("longest gap ", lambda row: shown(row.longest_gap, "{:.2f} s")),
    Column("out of rotation, per node", _out_of_rotation),
    Column("upgrade ", lambda row: duration(row.upgrade_seconds)),
    Column("lab ", lambda row: duration(row.lab_seconds)),
    Column("Python, Debian", lambda row: f"{row.source.python} → {row.target.python}, {row.suite}"),
    Column("cache", lambda row: "own" if row.own_cache else "shared"),
    Column("when (UTC)", lambda row: row.began),
)


def evidence(rows: Sequence[Row]) -> str:
    """Return why rows are red or were not run, in full; empty if all are green."""
    parts = [
        f"### {row.title}: {VERDICTS[row.state]}\n\n{row.began} UTC:\n\n{quote(row.reason)}"
        for row in rows
        if row.state != "green"
    ]
    return "\n".join(parts)


def logins_table(logins: Logins) -> str:
    """Return how many could log in at the end, by who had made them."""
    rows = [
        [origin, shown(count), shown(could)] for origin, (could, count) in logins.by_origin.items()
    ]
    rows.append(["all", shown(logins.asked), shown(logins.authenticated)])
    text = f"At the end, everyone:\n\n{table(('made by', 'users ', 'log in '), rows)}"
    if logins.unable:
        text += f"\nWho cannot:\n\n{quote(chr(10).join(logins.unable))}"
    return text


def commands_table(content: Content) -> str:
    """Return which command measured what, on which machine, with how much memory."""

    def line(command: Command) -> list[str]:
        peak, start = units.size(command.peak_bytes), units.size(command.start_bytes)
        return [
            command.began,
            f"`{command.typed}`",
            str(sum(row.command == command.began for row in content.rows)),
            duration(command.seconds),
            f"{command.cores} cores, {units.size(command.memory_bytes)}",
            f"{peak} above {start} at its start",
        ]

    header = ("began (UTC)", "command", "rows ", "took ", "machine", "peak of used memory")
    return table(header, [line(each) for each in content.commands])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; columns whose name ends in a space are for numbers, set to the right."""
    rule = ["---:" if name.endswith(" ") else "---" for name in header]
    lines = [[name.strip() for name in header], rule, *[[cell(each) for each in r] for r in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def cell(text: str) -> str:
    """Return text that cannot break out of a table's cell."""
    return " ".join(text.replace("|", "\\|").split()) or NOT_MEASURED


def quote(text: str) -> str:
    """Return several lines as a block of code, whatever is in them."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()) + "\n"


def shown(value: float | None, form: str = "{:,}") -> str:
    """Return a measured value in a form such as ``{:.0f} ms``."""
    return NOT_MEASURED if value is None else form.format(value)


def duration(seconds: float | None) -> str:
    """Return seconds in words, such as 3 min 5 s."""
    return NOT_MEASURED if seconds is None else units.duration(seconds)


def by_phase(values: Mapping[str, str]) -> str:
    """Return versions of all phases: one if they are equal, else each with its phase."""
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return ", ".join(f"{phase} {value}" for phase, value in values.items())
