"""A picture with a palette shows what it showed before."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium, visit
from tests.png_palette import SIGNATURE, with_palette

PAGE = """<body style="margin:0;background:linear-gradient(30deg,#123,#fed)">
<p style="font:20px serif;color:#b00">Text, with all its soft edges</p>"""
READ = """async (address) => {
  const image = new Image(); image.src = address; await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d'); context.drawImage(image, 0, 0);
  return [...context.getImageData(0, 0, image.width, image.height).data];
}"""


def pixels(browser: Browser, png: bytes) -> list[int]:
    """Return a picture's pixels as Chromium reads them: red, green, blue, opacity."""
    with visit(browser, 50, 50) as visited:
        address = "data:image/png;base64," + base64.b64encode(png).decode()
        found: list[int] = visited.page.evaluate(READ, address)
        return found


@pytest.mark.browser
def test_a_screenshot_looks_the_same_and_is_much_smaller() -> None:
    with chromium() as browser:
        with visit(browser, 300, 120) as visited:
            visited.page.set_content(PAGE)
            taken = visited.page.screenshot()
        made = with_palette(taken)
        before, after = (pixels(browser, png) for png in (taken, made))
    assert len(before) == len(after) == 300 * 120 * 4
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) < 24
    assert len(set(before)) > 200, "a picture with many colours"
    assert len(made) < len(taken)


def test_another_kind_of_picture_is_refused() -> None:
    header = struct.pack(">IIBBBBB", 1, 1, 8, 6, 0, 0, 0)
    png = SIGNATURE + struct.pack(">I", 13) + b"IHDR" + header + b"\0\0\0\0"
    png += struct.pack(">I", 0) + b"IDAT" + zlib.compress(b"")[:0] + b"\0\0\0\0"
    with pytest.raises(ValueError, match="only 8-bit RGB"):
        with_palette(png)
