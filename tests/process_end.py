"""Wait until a process has ended that a test did not start itself."""

from __future__ import annotations

import time
from pathlib import Path

WAIT_SECONDS = 20.0


def gone(pid: int) -> bool:
    """Tell whether a process has ended; a zombie that nobody waits for has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return state == "Z"


def wait_gone(pid: int) -> None:
    """Wait until it has ended."""
    end = time.monotonic() + WAIT_SECONDS
    while not gone(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.05)
