"""The matrix goes on after a red hop, writes after each, and its exit code hides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.campaigns.hop_file import HopFile
from lab.campaigns.hop_list import ReleasePair, all_hops
from lab.campaigns.hop_matrix import command, exit_code, measure_all
from lab.campaigns.hop_record import HopRecord
from machine.progress import Report
from tests.unit.lab.campaigns import hop_example

ORDER = [hop.key for hop in all_hops()]
GREEN = hop_example.record()
RED = hop_example.record("13-14", failed=("failed requests: 3 (limit 0)",))
UNBUILT = replace(hop_example.unobtainable("14-15"), lacks_sources=False)
Measure = Callable[[ReleasePair, str, Report], HopRecord]


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([GREEN], 0),
        ([GREEN, hop_example.unobtainable()], 0),
        ([GREEN, RED], 1),
        ([GREEN, UNBUILT], 1),
        ([hop_example.unobtainable()], 1),
        ([], 1),
    ],
)
def test_only_green_hops_and_missing_archives_are_a_success(
    records: list[HopRecord], code: int
) -> None:
    assert exit_code(records) == code


def test_every_hop_is_written_before_the_next_one_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "hops.json"
    written: list[list[str]] = []

    def measure(pair: ReleasePair, began: str, report: Report) -> HopRecord:
        known = json.loads(data.read_text())["hops"] if data.exists() else []
        written.append([hop["state"] for hop in known])
        return replace({"12-13": GREEN, "13-14": RED, "14-15": UNBUILT}[pair.key], run=began)

    pairs = [hop for hop in all_hops() if hop.key in ("12-13", "13-14", "14-15")]
    with Report() as report:
        code = measure_all(pairs, HopFile(data, ORDER), "make hops", report, measure)
    assert written == [[], ["green"], ["green", "red"]]
    assert code == 1
    content = json.loads(data.read_text())
    assert [hop["state"] for hop in content["hops"]] == ["green", "red", "not run"]
    (run,) = content["runs"]
    assert run["command"] == "make hops"
    assert run["start_bytes"] > 0
    assert run["peak_bytes"] >= 0
    output = capsys.readouterr().out
    assert "1 of 3 hops are green; " in output
    assert "failed requests: 3 (limit 0)" in output
    assert "peak of used memory" in output


def test_the_command_names_no_folder_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYSTONE_DIST", "/srv/secret-place")
    assert command("12-13") == "KEYSTONE_DIST=... make hops HOPS=12-13"
    monkeypatch.delenv("KEYSTONE_DIST")
    assert command("") == "make hops"
