"""Debian's own Chromium, for pages of this machine alone, and the pictures taken with it.

Playwright drives the browser that is installed and never fetches one. While it does, its event
loop belongs to the thread: a browser lives no longer than the module whose tests use it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from lab.paths import ROOT
from tests.png_palette import with_palette

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    # Tests run as root, which Chromium refuses otherwise; it opens nothing but our own pages.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Containers give /dev/shm 64 MB, which one large page exceeds.
    "--disable-dev-shm-usage",
)
HERE = ("127.0.0.1",)
OFFLINE = ("file", "data", "blob", "about")
ANSWER_MS = 60_000
"""For one answer of a web server that shares two cores with an upgrade."""

PICTURES = "SCREENSHOTS"
"""Variable that names the folder for pictures, from the project's root: `make screenshots`."""
LARGEST_PICTURE = 200_000
"""Bytes; whoever clones the project gets all pictures of the documentation."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium with a profile of its own, which ends with the block."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.fail(
            f"browser: none of {', '.join(PROGRAMS)} is installed, so no page was looked at. "
            "Next: apt-get install chromium (make setup does so on Debian)"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """Hold a page, and what it asked for: from elsewhere (refused), and from here in vain."""

    page: Page
    refused: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def visit(browser: Browser, width: int, height: int, scheme: str = "light") -> Iterator[Visit]:
    """Open an empty page of a size (pixels) that looks the same on every machine."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    try:
        visit = Visit(context.new_page())

        context.route("**/*", lambda route: _answer(route, visit))
        visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
        yield visit
    finally:
        context.unroute_all(behavior="ignoreErrors")
        context.close()


def _answer(route: Route, visit: Visit) -> None:
    """Let a page have what is here, and nothing from elsewhere.

    Chromium drops its connections (ERR_NETWORK_CHANGED) whenever an interface comes or goes, and
    an upgrade starts containers all the time. So Playwright asks in its place.
    """
    address = urlsplit(route.request.url)
    if address.scheme in OFFLINE:
        route.continue_()
    elif address.hostname in HERE:
        route.fulfill(response=route.fetch(max_redirects=0, timeout=ANSWER_MS))
    else:
        visit.refused.append(route.request.url)
        route.abort()


def take_picture(page: Page, name: str, elsewhere: Path) -> Path:
    """Write what the page shows as PNG: for the documentation if asked for, else *elsewhere*.

    AssertionError where a picture of the documentation becomes larger than it may be.
    """
    picture = page.screenshot(animations="disabled", caret="hide")
    asked = os.environ.get(PICTURES)
    if asked:
        picture = with_palette(picture)
        size = len(picture)
        assert size < LARGEST_PICTURE, f"{name} has {size} bytes, limit {LARGEST_PICTURE}"
    path = (ROOT / asked if asked else elsewhere) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)
    return path
