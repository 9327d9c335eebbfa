"""The report in real Chromium: on a desk and on a phone, by day and by night, without network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import chromium, visit
from tests.stand_ins import record_example as example

pytestmark = pytest.mark.browser

SIZES = {1280: 800, 390: 844}
OTHER_RUNS = [example.failed, example.restored, example.without_load]
WORD = "overlong_" * 40
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@contextmanager
def report(browser: Browser, record: dict[str, Any], width: int, scheme: str) -> Iterator[Page]:
    """Open a record's report as whoever got it by mail does; it asks for nothing from elsewhere."""
    with TemporaryDirectory() as folder, visit(browser, width, SIZES[width], scheme) as visited:
        path = Path(folder) / "report.html"
        path.write_text(example.page(record), encoding="utf-8")
        visited.page.goto(path.as_uri())
        yield visited.page
    assert visited.refused == []
    assert visited.errors == []


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than what is seen of it."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def ground(page: Page) -> float:
    """Return how bright the page's ground is, from 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    numbers = [int(each) for each in re.findall(r"\d+", colour)[:3]]
    return sum(numbers) / len(numbers)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", SIZES)
def test_a_report_fits_the_window_shows_its_chart_and_follows_the_scheme(
    browser: Browser, width: int, scheme: str
) -> None:
    with report(browser, example.succeeded(), width, scheme) as page:
        assert overflow(page) <= 0
        seen = [box for svg in page.locator(".chart > svg").all() if (box := svg.bounding_box())]
        assert len(seen) == 1, "one chart for wide windows, one for narrow ones"
        assert seen[0]["width"] > 0.8 * min(width, 1080)
        assert seen[0]["height"] > 250
        assert ground(page) < 60 if scheme == "dark" else ground(page) > 220


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("run", OTHER_RUNS)
def test_no_report_is_wider_than_the_window(
    browser: Browser, run: Callable[[], dict[str, Any]], width: int
) -> None:
    with report(browser, run(), width, "light") as page:
        assert overflow(page) <= 0


@pytest.mark.parametrize("width", SIZES)
def test_a_word_without_end_does_not_widen_the_report(browser: Browser, width: int) -> None:
    """Paths, digests and addresses are such words, and nobody limits their length."""
    record = example.failed()
    example.violated(record).update(dict.fromkeys(("measured", "object", "next_step"), WORD))
    record["plan"] = {**record["plan"], "image": WORD, "cloud": WORD}
    record["steps"][-1]["name"] = WORD
    with report(browser, record, width, "light") as page:
        assert overflow(page) <= 0
