"""A campaign's files: what was measured stays, is replaced whole, and reads well."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.campaigns import hops, odyssey
from lab.campaigns.campaign import Campaign, Plan
from machine.errors import CommandError
from tests.stand_ins import campaign_example as example
from tests.stand_ins import record_example
from tests.stand_ins.campaign_example import COMMAND

LATER = COMMAND.model_copy(update={"began": "2026-03-02 08:00:00", "typed": "make hops"})


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(tmp_path / "docs" / "hops.json", hops.PLAN.keys, hops.OPENING)


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table after a heading."""
    text = page.split(heading, 1)[1]
    lines = [line for line in text.split("\n\n", 2)[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_opens_with_what_an_operator_asks_first(plan: Plan) -> None:
    campaign, row = Campaign(plan), example.record()
    campaign.keep(row, COMMAND)
    page = campaign.page.read_text()
    assert page.startswith("# Every hop, measured\n")
    assert f"\n1 of 23 hops are green, 0 of {row.requests:,} requests failed.\n" in page
    table = [line for line in page.splitlines() if line.startswith("|")][:3]
    # A column in which nothing was measured is not there.
    assert table[0] == "| hop | verdict | failed of total | p99 to baseline | schema change |"
    assert table[2] == (
        f"| Pike → Queens (12.0.3 → 13.0.4) | green | 0 of {row.requests:,} | "
        f"{row.p99_ratio:.2f} × | 24 → 44 |"
    )
    assert "Why some are not green" not in page


def test_times_and_memory_are_on_the_page(plan: Plan) -> None:
    campaign = Campaign(plan)
    campaign.keep(example.record(), COMMAND)
    page = campaign.page.read_text()
    latency = rows(page, "## Latency and time")[2]
    assert latency[5:] == [
        "3 min 34 s", "1 min 1 s", "2.7 → 2.7, bullseye", "shared", "2026-03-01 10:00:00",
    ]  # fmt: skip
    how = rows(page, "## How it was measured")[2]
    assert how == [
        "2026-03-01 09:58:00", "`make hops HOPS=12-13`", "1", "5 min 30 s", "2 cores, 8.0 GiB",
        "3.0 GiB above 1.0 GiB at its start",
    ]  # fmt: skip


def test_the_page_has_no_html_and_every_table_is_whole(plan: Plan) -> None:
    campaign = Campaign(plan)
    reason = ("a | b <tag>\nsecond line",)
    campaign.keep(example.record(report=record_example.failed(), failed=reason), COMMAND)
    campaign.keep(example.unobtainable(), COMMAND)
    page = campaign.page.read_text()
    outside = "\n".join(line for line in page.splitlines() if not line.startswith("    "))
    assert not re.search(r"<[a-z/]", outside)
    tables: list[list[str]] = [
        block.splitlines() for block in page.split("\n\n") if block.startswith("|")
    ]
    assert len(tables) == 5
    for lines in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert len(widths) == 1, lines


def test_red_and_unrunnable_hops_stand_there_with_the_evidence(plan: Plan) -> None:
    campaign = Campaign(plan)
    campaign.keep(example.record(failed=("schema: 24 (limit 44)",)), COMMAND)
    campaign.keep(example.unobtainable(), COMMAND)
    page = campaign.page.read_text()
    assert "| Newton → Ocata (10.0.3 → 11.0.4) | not run | – | – | – | see below |" in page
    assert "| **RED** |" in page
    assert "### Newton → Ocata: not run" in page
    assert "    keystone 10.0.3 is not on PyPI\n    set KEYSTONE_DIST\n" in page
    assert "    schema: 24 (limit 44)\n" in page
    schema = rows(page, "## Schema")
    assert [row[0] for row in schema[2:]] == ["Pike → Queens"]


def test_a_page_on_which_nothing_ran_has_no_empty_tables(plan: Plan) -> None:
    campaign = Campaign(plan)
    campaign.keep(example.unobtainable(), COMMAND)
    page = campaign.page.read_text()
    assert "0 of 23 hops are green, – of 0 requests failed." in page
    assert "## Schema" not in page
    assert "| not run | see below |" in page


def test_rows_are_in_the_order_of_the_releases_whenever_they_were_measured(plan: Plan) -> None:
    campaign = Campaign(plan)
    for key in ("23-25", "12-13", "23-24"):
        campaign.keep(example.record(key), COMMAND)
    assert [row.key for row in Campaign.read(plan).rows] == ["12-13", "23-24", "23-25"]


def test_an_interrupted_campaign_keeps_what_it_measured_and_a_later_one_adds(plan: Plan) -> None:
    Campaign(plan).keep(example.record("12-13"), COMMAND)
    later = Campaign.read(plan)
    later.keep(example.record("13-14", command=LATER.began), LATER)
    content = json.loads(plan.data.read_text())
    assert [row["key"] for row in content["rows"]] == ["12-13", "13-14"]
    assert [command["began"] for command in content["commands"]] == [COMMAND.began, LATER.began]
    later.keep(example.record("12-13", command=LATER.began), LATER)
    commands = json.loads(plan.data.read_text())["commands"]
    assert [command["began"] for command in commands] == [LATER.began]


def test_a_machine_without_the_sources_does_not_take_a_measurement_away(plan: Plan) -> None:
    campaign = Campaign(plan)
    campaign.keep(example.record("10-11"), COMMAND)
    campaign.keep(example.unobtainable("10-11"), LATER)
    assert campaign.rows[0].state == "green"
    # What cannot be built any more, though its sources are there, is news.
    campaign.keep(example.unobtainable("10-11").updated(lacks_sources=False), LATER)
    assert campaign.rows[0].state == "not run"


def test_files_are_replaced_in_one_step(plan: Plan) -> None:
    campaign = Campaign(plan)
    campaign.keep(example.record(), COMMAND)
    with plan.data.open() as reader, campaign.page.open() as page_reader:
        campaign.keep(example.record("13-14"), COMMAND)
        assert len(json.load(reader)["rows"]) == 1
        assert "Rocky" not in page_reader.read()
    assert [path.name for path in sorted(plan.data.parent.iterdir())] == ["hops.json", "hops.md"]


@pytest.mark.parametrize("text", ['{"rows": [{"key": "12-13"}]}', '{"hops": []}', "[]", "{"])
def test_a_damaged_file_is_not_overwritten(plan: Plan, text: str) -> None:
    plan.data.parent.mkdir()
    plan.data.write_text(text)
    with pytest.raises(
        CommandError, match=r"(?s)hops\.json cannot be read \(ValidationError: .*move it away"
    ):
        Campaign.read(plan)


def test_a_campaign_survives_its_file(plan: Plan) -> None:
    campaign = Campaign(plan)
    for row in (example.record(users=2160, logins=example.SAMPLED), example.unobtainable()):
        campaign.keep(row, COMMAND)
    campaign.end(example.SAMPLED)
    campaign.write(COMMAND)
    assert Campaign.read(plan).content == campaign.content


@pytest.mark.parametrize("plan", [hops.PLAN, odyssey.PLAN], ids=["hops", "odyssey"])
def test_the_pages_of_the_repository_are_what_their_data_says(plan: Plan) -> None:
    campaign = Campaign.read(plan)
    assert campaign.page.read_text() == campaign.markdown()


def test_notes_tell_what_is_particular(plan: Plan) -> None:
    same = {phase: "47147121" for phase in ("expand", "contract")}
    tables = {"migrate_version": ["x 1"], "alembic_version": ["47147121"]}
    row = example.record(
        "27-29", before=same, heads=same, after=same, idle_phases=["migrate", "contract"],
        tables_after=tables, triggers_most=6, own_cache=True,
    )  # fmt: skip
    campaign = Campaign(plan)
    campaign.keep(row, COMMAND)
    line = next(line for line in campaign.page.read_text().splitlines() if "(27.0.1" in line)
    assert line.split(" | ")[4:] == [
        "none",
        "skips a release; nothing to do in contract; version tables afterwards: "
        "migrate_version, alembic_version; up to 6 triggers; each release has a cache of its own |",
    ]
