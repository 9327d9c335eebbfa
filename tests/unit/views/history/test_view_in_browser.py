"""The history of rehearsals in real Chromium; its picture is the documentation's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from keystone_rollout.hooks.files.run_directory import rehearsals_folder
from keystone_rollout.procedures.rehearsal.history import PAGE, RehearsalHistory
from tests.browser import chromium, take_picture, visit
from tests.stand_ins import record_example
from tests.stand_ins import rehearsal_example as example

pytestmark = pytest.mark.browser

SIZES = {1280: 1000, 390: 844}
NEWEST = f"night_{len(example.FACTORS) - 1:02}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the history of twelve nights as the DAG's last task does: one red, the last slow."""
    folder = tmp_path_factory.mktemp("history")
    with pytest.MonkeyPatch.context() as patch:
        # A night without a report counts as one of today: then the history ends with it.
        patch.setattr(example, "WITHOUT", None)
        patch.setenv("ROLLOUT_RUNS", str(folder / "runs"))
        (folder / "runs").mkdir()
        history = RehearsalHistory("lab", 100)
        assert history.folder == rehearsals_folder() / "lab"
        example.keep_nights(folder / "runs", history)
    report = record_example.page(record_example.succeeded())
    (history.folder / NEWEST / "report.html").write_text(report, encoding="utf-8")
    return history.folder / PAGE


@pytest.mark.parametrize("width", SIZES)
def test_it_fits_the_window_and_shows_its_trends(
    browser: Browser, history: Path, tmp_path: Path, width: int
) -> None:
    with visit(browser, width, SIZES[width]) as visited:
        visited.page.goto(history.as_uri())
        assert visited.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        seen = [svg for svg in visited.page.locator("figure.chart > svg").all() if svg.is_visible()]
        assert seen
        for svg in seen:
            box = svg.bounding_box()
            assert box is not None
            assert box["height"] > 80
        assert "Drifting: p99" in visited.page.locator(".summary").inner_text()
        rows = visited.page.locator("table.history tbody")
        assert rows.count() == len(example.FACTORS)
        assert [row.inner_text().split()[0] for row in rows.all()].count("Failed") == 1
        if width == 1280:
            take_picture(visited.page, "history.png", tmp_path)
    assert visited.refused == []
    assert visited.errors == []


@pytest.mark.parametrize("width", SIZES)
def test_a_row_leads_to_the_report_that_was_kept(
    browser: Browser, history: Path, width: int
) -> None:
    with visit(browser, width, SIZES[width]) as visited:
        visited.page.goto(history.as_uri())
        visited.page.get_by_role("link", name="report").first.click()
        visited.page.wait_for_url((history.parent / NEWEST / "report.html").as_uri())
        assert visited.page.get_by_role("heading", level=1).inner_text() == "Succeeded"
    assert visited.refused == []
    assert visited.errors == []
