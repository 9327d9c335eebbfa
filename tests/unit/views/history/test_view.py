"""The history's page says in words whether rehearsals drift, and tells nothing by colour alone."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from keystone_rollout.domain.run.record import read_record
from keystone_rollout.procedures.run.report import render_page
from keystone_rollout.views.history.drift import DURATION, RATIO, drift
from keystone_rollout.views.history.row import Row, p99_ratio, row_of, row_without_data
from keystone_rollout.views.history.view import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    build_history_view,
    build_trend,
)
from tests.stand_ins import rehearsal_example as example
from tests.stand_ins.html_page import Page


def rows(nights: int = len(example.FACTORS)) -> list[Row]:
    """Return the example's rows, newest first."""
    made = []
    for night, factor in enumerate(example.FACTORS[:nights]):
        if night == example.WITHOUT:
            at = example.nightly(night)["began"]
            made.append(row_without_data(f"night_{night}", at, "no report: it is gone"))
        else:
            made.append(
                row_of(
                    f"night_{night}", read_record(example.nightly(night, factor)), f"{night}/r.html"
                )
            )
    return made[::-1]


def page(of: list[Row]) -> Page:
    return Page(render_page("history.html.j2", build_history_view("lab", of, 100)))


def test_a_slow_last_night_is_said_in_words() -> None:
    found = drift(rows(), RATIO)
    assert found.state == "drifts"
    assert re.fullmatch(
        r"The p99 ratio of the last rehearsal \(\d\.\d\d × baseline\) is 1\.9 × the median of the "
        r"9 before \(\d\.\d\d × baseline\), limit 1\.5 ×: it drifts\. Next: compare its report "
        r"with one of before",
        found.sentence,
    )
    assert drift(rows(), DURATION).state == "steady"


def test_a_slow_night_itself_moves_the_median_little() -> None:
    found = drift(rows(11), RATIO)
    assert found.state == "steady"
    assert found.sentence.endswith("limit 1.5 ×: no drift")


def test_a_longer_run_is_a_drift_of_its_own() -> None:
    made = rows(8)
    made[0]["seconds"] *= 1.25
    found = drift(made, DURATION)
    assert found.state == "drifts"
    assert "is 1.2 × the median of the 6 before" in found.sentence
    made[0]["seconds"] *= 0.99
    assert drift(made, DURATION).state == "steady"


def test_only_ten_green_ones_of_the_same_hop_count() -> None:
    made = [copy.deepcopy(rows(1)[0]) for _ in range(20)]
    for row in made[11:]:
        row["p99"] *= 50
    assert "median of the 10 before" in drift(made, RATIO).sentence
    assert drift(made, RATIO).state == "steady"
    for row in made[1:18]:
        row["target"] = "14.2.0"
    assert drift(made, RATIO).sentence == (
        "The p99 ratio: not enough data (2 rehearsals of this hop went through before, needed 3)"
    )


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ([], "no rehearsal yet"),
        (rows(example.RED + 1), "the last rehearsal did not go through"),
        (rows(example.WITHOUT + 1), "the last rehearsal did not go through"),
        (rows(3), "2 rehearsals of this hop went through before, needed 3"),
    ],
    ids=["none", "red", "without data", "too few"],
)
def test_too_little_is_a_verdict_of_its_own(made: list[Row], why: str) -> None:
    for measure in (RATIO, DURATION):
        found = drift(made, measure)
        assert found.state == "unknown"
        assert "not enough data" in found.sentence
        assert why in found.sentence


def test_no_baseline_is_no_ratio() -> None:
    row = rows(1)[0]
    assert p99_ratio({**row, "baseline_p99": None}) is None
    assert p99_ratio({**row, "baseline_p99": 0.0}) is None
    assert p99_ratio({**row, "p99": None}) is None
    assert p99_ratio({**row, "p99": 300.0, "baseline_p99": 150.0}) == 2.0


def test_the_drawing_goes_from_the_oldest_to_the_newest_within_its_frame() -> None:
    made = rows()
    trend = build_trend(made, RATIO, drift(made, RATIO))
    assert trend is not None
    xs = [point["x"] for point in trend["points"]]
    assert xs == sorted(xs)
    assert xs[0] > LEFT
    assert xs[-1] < RIGHT
    assert all(TOP <= point["y"] <= BOTTOM for point in trend["points"] if point["measured"])
    assert trend["points"][-1]["y"] == min(point["y"] for point in trend["points"]), "the slow one"
    assert (trend["first"], trend["last"]) == ("2026-03-01", "2026-03-12")
    assert trend["line"].count("L") == 9, "through the ten green ones"
    assert not trend["points"][example.WITHOUT]["measured"]


def test_one_rehearsal_is_a_point_and_none_measured_no_drawing() -> None:
    trend = build_trend(rows(1), RATIO, drift(rows(1), RATIO))
    assert trend is not None
    assert (len(trend["points"]), trend["line"], trend["last"]) == (1, "", "")
    nothing = [row_without_data("x", 0.0, "gone")]
    assert build_trend(nothing, RATIO, drift(nothing, RATIO)) is None


@pytest.mark.parametrize("number", [0, 1, 5, 9, 12])
def test_every_history_is_a_well_formed_page_without_network(number: int) -> None:
    text = render_page("history.html.j2", build_history_view("lab", rows(number), 100))
    found = Page(text)
    assert not [a for a in found.attributes if a[1] in ("src", "xlink:href")]
    links = [value for _tag, name, value in found.attributes if name == "href"]
    assert all(re.fullmatch(r"\d+/r\.html", link) for link in links)
    assert not [a for a in found.attributes if a[0] in ("script", "link", "iframe", "object")]
    assert not re.search(r"@import|url\((?!#)", text)
    numbers = [v for _t, name, v in found.attributes if name in ("d", "x", "y", "cx", "cy")]
    assert not [value for value in numbers if re.search("None|nan|inf", value)]


def test_the_page_puts_the_newest_first_and_says_what_happened() -> None:
    text = page(rows()).text
    assert "10 of the last 12 rehearsals succeeded, 1 failed, 1 without data. Drifting: p99" in text
    listed = text[text.index("Rehearsals, newest first") :]
    assert listed.index("2026-03-12") < listed.index("2026-03-11") < listed.index("2026-03-01")
    assert "no report: it is gone" in listed
    assert "load failures (locust): measured 13 failed of" in listed
    assert "12.0.3 (Pike) → 13.0.4 (Queens)" in listed
    assert "The last 100 are kept" in text


def test_every_row_with_a_report_links_to_it() -> None:
    links = [value for tag, name, value in page(rows()).attributes if (tag, name) == ("a", "href")]
    assert links == [f"{night}/r.html" for night in range(11, -1, -1) if night != example.WITHOUT]


def test_states_differ_in_shape_and_are_read_out() -> None:
    found = page(rows())
    marks = {value for tag, name, value in found.attributes if (tag, name) == ("svg", "aria-label")}
    assert {"succeeded", "failed", "unknown"} <= marks
    assert any(mark.startswith("p99 ratio of 12 rehearsals, oldest first") for mark in marks)
    crosses = [a for a in found.attributes if a[:2] == ("path", "class") and a[2] == "cross"]
    rings = [a for a in found.attributes if a[:2] == ("circle", "class") and a[2] == "ring"]
    assert (len(crosses), len(rings)) == (3, 3 + 1), "two drawings, the legend, the row's mark"


def test_an_empty_history_says_how_it_is_filled() -> None:
    text = page([]).text
    assert "No rehearsal yet" in text
    assert "Switch the DAG on" in text


def test_what_others_wrote_is_text_and_never_markup() -> None:
    made: list[dict[str, Any]] = rows(5)
    evil = "<script>alert(1)</script>\"'&"
    made[0].update(reason=evil, source=evil, report=evil)
    made[1]["problem"] = evil
    text = render_page("history.html.j2", build_history_view(evil, made, 100))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
