"""What the load says of itself: one small file beside its samples, replaced every second."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

STATE_FILE = "state.json"
LOADS = ("spawning", "running")
HAS_ENDED = ("stopped", "quit")
SILENT_SECONDS = 5.0
"""A load that has not written for so long hangs."""


@dataclass(frozen=True)
class LoadState:
    """The load's own word at epoch second ``t``.

    ``state`` is starting, spawning, running, stopping, stopped (no user is left) or quit (the
    process ends now); ``users`` is how many clients are at work.
    """

    state: str
    users: int
    t: float

    def to_text(self) -> str:
        """Return the file's content, as ``parse_state`` reads it."""
        return json.dumps(asdict(self)) + "\n"

    def is_silent(self, now: float) -> bool:
        """Return whether a load that has more to say does not say it.

        Ahead of ``now`` counts, too: the machine's clock was set back, and nothing was written
        since then.
        """
        return self.state not in HAS_ENDED and abs(now - self.t) > SILENT_SECONDS


def parse_state(text: str) -> LoadState | None:
    """Return the state of a file's content, or None if it is not one."""
    try:
        fields = json.loads(text)
        return LoadState(str(fields["state"]), int(fields["users"]), float(fields["t"]))
    except (ValueError, KeyError, TypeError):
        return None


def judge_state(state: LoadState | None, now: float) -> tuple[bool, str]:
    """Return whether the load is loading at epoch second ``now``, and the words for it."""
    if state is None:
        return False, "has not written its state"
    if state.is_silent(now):
        return False, f"has not written its state for {abs(now - state.t):.0f} s"
    return state.state in LOADS, f"is {state.state}"
