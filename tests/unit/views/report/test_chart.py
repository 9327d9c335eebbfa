"""The chart's geometry: one time axis, labels that do not collide, nothing drawn that was not."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from keystone_rollout.domain.run.record import read_record
from keystone_rollout.views.report.chart import build_chart, nice_ceiling
from keystone_rollout.views.report.layout import COMPACT, WIDE, Layout
from keystone_rollout.views.report.tables import steps_rows
from tests.stand_ins import record_example as example


def chart(record: dict[str, Any], layout: Layout = WIDE) -> dict[str, Any]:
    run = read_record(record)
    drawn = build_chart(run, steps_rows(run.steps, run.began), layout)
    assert drawn is not None
    return drawn


@pytest.mark.parametrize("layout", [WIDE, COMPACT], ids=lambda layout: layout.name)
@pytest.mark.parametrize("make", [example.succeeded, example.failed, example.failed_in_preflight])
def test_everything_lies_within_the_drawing(make: Any, layout: Layout) -> None:
    drawn = chart(make(), layout)
    xs = [band["x"] for band in drawn["bands"]]
    xs += [band["x"] + band["width"] for band in drawn["bands"]]
    xs += [tick["x"] for tick in drawn["ticks"]]
    segments = [segment for lane in drawn["lanes"] for segment in lane["segments"]]
    xs += [segment["x"] + segment["width"] for segment in segments]
    assert min(xs) >= drawn["left"]
    assert max(xs) <= drawn["right"] + 1.5
    for path in ("p99", "p95", "p50"):
        ys = [float(y) for y in re.findall(r",([\d.]+)", drawn["latency"][path])]
        assert all(drawn["latency"]["top"] <= y <= drawn["latency"]["bottom"] for y in ys)


@pytest.mark.parametrize("layout", [WIDE, COMPACT], ids=lambda layout: layout.name)
@pytest.mark.parametrize("make", [example.succeeded, example.failed])
def test_no_label_runs_into_another_or_into_a_leader(make: Any, layout: Layout) -> None:
    places = [band["place"] for band in chart(make(), layout)["bands"] if band["place"]]
    for one, other in itertools.combinations(places, 2):
        if one["row"] == other["row"]:
            assert one["end"] <= other["begin"] or other["end"] <= one["begin"]
        low, high = sorted((one, other), key=lambda place: place["row"])
        if low["row"] < high["row"]:
            assert not low["begin"] < high["line"] < low["end"]


@pytest.mark.parametrize("layout", [WIDE, COMPACT], ids=lambda layout: layout.name)
def test_phases_nodes_and_failed_steps_keep_their_labels(layout: Layout) -> None:
    for make, failed in ((example.succeeded, None), (example.failed, "keystone-2")):
        bands = {band["name"]: band for band in chart(make(), layout)["bands"]}
        for name in ("expand", "migrate", "keystone-1", "keystone-2", failed or "contract"):
            assert bands[name]["place"] is not None
        assert [name for name, band in bands.items() if not band["ok"]] == [failed][: bool(failed)]


def test_a_phase_keeps_its_label_in_any_crowd() -> None:
    record = example.succeeded()
    began = record["began"]
    names = [f"check_something_{number}" for number in range(20)] + ["contract"]
    record["steps"] = [
        {
            "name": name,
            "work": "step",
            "began": began + 2 * i,
            "ended": began + 2 * i + 2,
            "state": "finished",
        }
        for i, name in enumerate(names)
    ]
    bands = {band["name"]: band for band in chart(record)["bands"]}
    assert bands["contract"]["place"]["row"] == 0
    assert [band for band in bands.values() if band["place"] is None]


def test_every_failure_has_its_mark() -> None:
    record = example.failed()
    for layout in (WIDE, COMPACT):
        marks = chart(record, layout)["failures"]["marks"]
        assert sum(mark["failures"] for mark in marks) == record["load"]["failures"] > 0


def test_a_hole_in_the_samples_is_not_drawn_across() -> None:
    record = example.succeeded()
    whole = chart(record)["rate"]["line"].count("M")
    series = record["load"]["series"]
    record["load"]["series"] = series[:60] + series[90:]
    assert (whole, chart(record)["rate"]["line"].count("M")) == (1, 2)


def test_a_second_without_response_times_breaks_only_their_lines() -> None:
    record = example.succeeded()
    record["load"]["series"][60].update(p50=None, p95=None, p99=None, requests=0)
    drawn = chart(record)
    assert drawn["rate"]["line"].count("M") == 1
    assert drawn["latency"]["p99"].count("M") == 2


def test_a_long_run_is_thinned_out_and_its_worst_second_stays() -> None:
    record = example.succeeded()
    point = {"requests": 60, "failures": 0, "p50": 20.0, "p95": 60.0, "p99": 100.0}
    began = int(record["began"])
    series = [{"t": began + t, **point} for t in range(4 * 3600)]
    series[7777].update(p99=900.0, failures=1)
    record["load"]["series"] = series
    record["ended"] = began + 4 * 3600
    drawn = chart(record)
    assert drawn["rate"]["line"].count("L") < 500
    assert drawn["latency"]["ceiling"] == 1000
    assert [mark["failures"] for mark in drawn["failures"]["marks"]] == [1]
    assert [tick["label"] for tick in drawn["ticks"]][:2] == ["0:00", "30:00"]


def test_a_run_without_samples_still_has_steps_and_nodes() -> None:
    drawn = chart(example.failed_in_preflight())
    assert not drawn["measured"]
    assert drawn["latency"]["p99"] == drawn["rate"]["line"] == ""
    assert [lane["name"] for lane in drawn["lanes"]] == example.NODES


def test_a_run_without_a_time_span_has_no_chart() -> None:
    assert build_chart(read_record(example.failed_at_once()), [], WIDE) is None


@pytest.mark.parametrize(
    ("value", "ceiling"), [(0, 1), (0.4, 0.4), (7, 8), (61, 80), (750, 800), (1001, 1200)]
)
def test_a_scale_ends_at_a_round_number(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == pytest.approx(ceiling)
