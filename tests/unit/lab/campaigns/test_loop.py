"""A campaign writes after each run, and a red one stops the others only if it has to."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from lab.campaigns.campaign import Campaign, Plan
from lab.campaigns.hops import OPENING, PLAN
from lab.campaigns.loop import measure_all
from lab.campaigns.row import Row
from lab.data.known_users import Logins
from machine.progress import Report
from tests.stand_ins import campaign_example as example

GREEN = example.record()
RED = example.record("13-14", failed=("failed requests: 3 (limit 0)",))
UNBUILT = example.unobtainable("14-15").updated(lacks_sources=False)


def test_every_hop_is_written_before_the_next_one_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "hops.json"
    written: list[list[str]] = []

    def measure(row: Row, command: str) -> Row:
        known = json.loads(data.read_text())["rows"] if data.exists() else []
        written.append([each["state"] for each in known])
        return row.updated(command=command)

    campaign = Campaign(Plan(data, PLAN.keys, OPENING))
    jobs = [partial(measure, row) for row in (GREEN, RED, UNBUILT)]
    with Report() as report:
        rows = measure_all(jobs, campaign, "make hops", report)
    assert written == [[], ["green"], ["green", "red"]]
    assert [row.state for row in rows] == ["green", "red", "not run"]
    content = json.loads(data.read_text())
    assert [row["state"] for row in content["rows"]] == ["green", "red", "not run"]
    (kept,) = content["commands"]
    assert kept["typed"] == "make hops"
    assert kept["start_bytes"] > 0
    assert kept["peak_bytes"] >= 0
    output = capsys.readouterr().out
    assert "1 of 3 hops are green; " in output
    assert "failed requests: 3 (limit 0)" in output
    assert "peak of used memory" in output


@pytest.mark.parametrize("second", [RED, example.record("13-14")])
def test_a_campaign_that_cannot_go_on_after_a_red_hop_stops_there(
    tmp_path: Path, second: Row
) -> None:
    plan = Plan(tmp_path / "x.json", ("12-13", "13-14", "14-15"), OPENING, after_red="It ends.")
    campaign = Campaign(plan)
    jobs = [lambda _, row=row: row for row in (GREEN, second, example.record("14-15"))]
    with Report() as report:
        rows = measure_all(jobs, campaign, "make x", report, lambda: Logins(1, 1, {}, []))
    green = second is not RED
    assert len(rows) == (3 if green else 2)
    assert (campaign.content.everyone is not None) is green
    assert campaign.complete is green
    assert ("\nIt ends.\n" in campaign.page.read_text()) is not green
