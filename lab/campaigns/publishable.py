"""Texts of errors as they may stand in the repository: without this machine's own names."""

from __future__ import annotations

import re

from lab import paths

_ADDRESS = re.compile(r"https?://(?!packages/|127\.0\.0\.1)[^\s'\",)]+")
_HOST = re.compile(r"(?<=host=)(['\"]).*?\1")


def publishable(text: str) -> str:
    """Return *text* without this checkout's path, and without addresses beyond the lab.

    pip names its package index, which may be a private one, with a password in its address.
    """
    text = text.replace(f"{paths.ROOT}/", "")
    return _HOST.sub("[host]", _ADDRESS.sub("[address]", text))
