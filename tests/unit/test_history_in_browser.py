"""The history of rehearsals in real Chromium; its picture is the documentation's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium, take_picture, visit

pytestmark = pytest.mark.browser

SIZES = {1280: 1000, 390: 844}
example: Any = pytest.importorskip("rehearsal_example", reason="no history of rehearsals yet")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the history of twelve nights: one red, the last one slow."""
    from hooks.rehearsal_history import RehearsalHistory

    folder = tmp_path_factory.mktemp("history")
    with pytest.MonkeyPatch.context() as patch:
        # A night without a report counts as one of today: then the history ends with it.
        patch.setattr(example, "WITHOUT", None)
        patch.setenv("ROLLOUT_RUNS", str(folder / "runs"))
        (folder / "runs").mkdir()
        example.keep_nights(folder / "runs", RehearsalHistory("lab", 100, folder / "lab"))
    return folder / "lab" / "history.html"


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
        if width == 1280:
            take_picture(visited.page, "history.png", tmp_path)
    assert visited.refused == []
    assert visited.errors == []
