"""What judges a run: it begins, is asked at every gate, and ends."""

from __future__ import annotations

from typing import Protocol

from keystone_rollout.domain.verdict import Verdict

TAKE_UP_AGAIN = "clear this task: it takes up again what a teardown has ended, before it looks"
"""Next step if a gate finds something ended on purpose."""


class Witness(Protocol):
    """Judge a run from its begin to its end (keystone_rollout.procedures.run.witnesses).

    A setup begins it and a teardown ends it. A cleared task begins it again, because clearing
    runs no setup; what ended by itself is a violation, and is not begun again.
    """

    @property
    def name(self) -> str:
        """Return what the record and the log call it."""
        ...

    def begin(self, step: str = "") -> list[Verdict]:
        """Begin; return what had to be measured for that, judged.

        :param step: where a resumed run goes on, in mid-upgrade; empty for the first time
        """
        ...

    def judge(self) -> list[Verdict]:
        """Return one verdict for each question, and change nothing; none if it has no part."""
        ...

    def ended(self) -> bool:
        """Tell whether it began in this run and was ended on purpose."""
        ...

    def end(self) -> str:
        """End it on purpose, harmless if it never began; say what was done."""
        ...
