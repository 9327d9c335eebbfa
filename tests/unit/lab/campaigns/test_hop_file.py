"""The matrix's files: what was measured stays, is replaced whole, and reads well."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lab.campaigns.hop_file import HopFile, MatrixRun
from lab.campaigns.hop_list import all_hops
from lab.campaigns.peak_memory import Machine
from machine.errors import CommandError
from tests.unit import record_example
from tests.unit.lab.campaigns import hop_example

ORDER = [hop.key for hop in all_hops()]
GIB = 1024**3
FIRST = MatrixRun(hop_example.RUN, "make hops HOPS=12-13", Machine(2, 8 * GIB), 330.0, GIB, 3 * GIB)
SECOND = replace(FIRST, began="2026-03-02 08:00:00", command="make hops")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "docs" / "hops.json"


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table after a heading."""
    text = page.split(heading, 1)[1]
    lines = [line for line in text.split("\n\n", 2)[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_opens_with_what_an_operator_asks_first(data: Path) -> None:
    file = HopFile(data, ORDER)
    record = hop_example.record()
    file.keep(record, FIRST)
    page = file.page.read_text()
    assert page.startswith("# Every hop, measured\n")
    table = [line for line in page.splitlines() if line.startswith("|")][:3]
    assert table[0] == (
        "| hop | verdict | failed of total | p99 to baseline | schema change | notes |"
    )
    assert table[2] == (
        f"| Pike → Queens (12.0.3 → 13.0.4) | green | 0 of {record.requests:,} | "
        f"{record.p99_ratio:.2f} × | 24 → 44 | – |"
    )
    assert "Why some are not green" not in page


def test_times_and_memory_are_on_the_page(data: Path) -> None:
    file = HopFile(data, ORDER)
    file.keep(hop_example.record(), FIRST)
    page = file.page.read_text()
    latency = rows(page, "## Latency and time")[2]
    assert latency[5:] == [
        "3 min 34 s", "1 min 1 s", "2.7 → 2.7, bullseye", "shared", "2026-03-01 10:00:00",
    ]  # fmt: skip
    how = rows(page, "## How it was measured")[2]
    assert how == [
        "2026-03-01 09:58:00", "`make hops HOPS=12-13`", "1", "5 min 30 s", "2 cores, 8.0 GiB",
        "3.0 GiB above 1.0 GiB at its start",
    ]  # fmt: skip


def test_the_page_has_no_html_and_every_table_is_whole(data: Path) -> None:
    file = HopFile(data, ORDER)
    reason = ("a | b <tag>\nsecond line",)
    file.keep(hop_example.record(report=record_example.failed(), failed=reason), FIRST)
    file.keep(hop_example.unobtainable(), FIRST)
    page = file.page.read_text()
    outside = "\n".join(line for line in page.splitlines() if not line.startswith("    "))
    assert not re.search(r"<[a-z/]", outside)
    tables: list[list[str]] = [
        block.splitlines() for block in page.split("\n\n") if block.startswith("|")
    ]
    assert len(tables) == 4
    for lines in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert len(widths) == 1, lines


def test_red_and_unrunnable_hops_stand_there_with_the_evidence(data: Path) -> None:
    file = HopFile(data, ORDER)
    file.keep(hop_example.record(failed=("schema: 24 (limit 44)",)), FIRST)
    file.keep(hop_example.unobtainable(), FIRST)
    page = file.page.read_text()
    assert "| Newton → Ocata (10.0.3 → 11.0.4) | not run | – | – | – | see below |" in page
    assert "| **RED** |" in page
    assert "### Newton → Ocata: not run" in page
    assert "    keystone 10.0.3 is not on PyPI\n    set KEYSTONE_DIST\n" in page
    assert "    schema: 24 (limit 44)\n" in page
    schema = rows(page, "## Schema")
    assert [row[0] for row in schema[2:]] == ["Pike → Queens"]


def test_rows_are_in_the_order_of_the_releases_whenever_they_were_measured(data: Path) -> None:
    file = HopFile(data, ORDER)
    for key in ("23-25", "12-13", "23-24"):
        file.keep(hop_example.record(key), FIRST)
    assert [record.key for record in HopFile(data, ORDER).in_order()] == [
        "12-13", "23-24", "23-25",
    ]  # fmt: skip


def test_an_interrupted_matrix_keeps_what_it_measured_and_a_later_one_adds(data: Path) -> None:
    HopFile(data, ORDER).keep(hop_example.record("12-13"), FIRST)
    later = HopFile(data, ORDER)
    later.keep(replace(hop_example.record("13-14"), run=SECOND.began), SECOND)
    content = json.loads(data.read_text())
    assert [hop["key"] for hop in content["hops"]] == ["12-13", "13-14"]
    assert [run["began"] for run in content["runs"]] == [FIRST.began, SECOND.began]
    later.keep(replace(hop_example.record("12-13"), run=SECOND.began), SECOND)
    assert [run["began"] for run in json.loads(data.read_text())["runs"]] == [SECOND.began]


def test_a_machine_without_the_sources_does_not_take_a_measurement_away(data: Path) -> None:
    file = HopFile(data, ORDER)
    file.keep(hop_example.record("10-11"), FIRST)
    file.keep(hop_example.unobtainable("10-11"), SECOND)
    assert file.records["10-11"].state == "green"
    # What cannot be built any more, though its sources are there, is news.
    file.keep(replace(hop_example.unobtainable("10-11"), lacks_sources=False), SECOND)
    assert file.records["10-11"].state == "not run"


def test_files_are_replaced_in_one_step(data: Path) -> None:
    file = HopFile(data, ORDER)
    file.keep(hop_example.record(), FIRST)
    with data.open() as reader, file.page.open() as page_reader:
        file.keep(hop_example.record("13-14"), FIRST)
        assert len(json.load(reader)["hops"]) == 1
        assert "Rocky" not in page_reader.read()
    assert [path.name for path in sorted(data.parent.iterdir())] == ["hops.json", "hops.md"]


def test_a_damaged_file_is_not_overwritten(data: Path) -> None:
    data.parent.mkdir()
    data.write_text('{"hops": [{"key": "12-13"}], "runs": []}')
    with pytest.raises(CommandError, match=r"hops\.json cannot be read \(KeyError: .*move it away"):
        HopFile(data, ORDER)


def test_notes_tell_what_is_particular(data: Path) -> None:
    file = HopFile(data, ORDER)
    record = hop_example.record("27-29")
    same = {phase: "47147121" for phase in ("expand", "contract")}
    tables = {"migrate_version": ["x 1"], "alembic_version": ["47147121"]}
    schema = replace(record.schema, tables_after=tables)
    record = replace(
        record, before=same, heads=same, after=same, idle_phases=["migrate", "contract"],
        schema=schema, triggers_most=6, own_cache=True,
    )  # fmt: skip
    file.keep(record, FIRST)
    row = next(line for line in file.page.read_text().splitlines() if "(27.0.1" in line)
    assert row.split(" | ")[4:] == [
        "none",
        "skips a release; nothing to do in contract; version tables afterwards: "
        "migrate_version, alembic_version; up to 6 triggers; each release has a cache of its own |",
    ]
