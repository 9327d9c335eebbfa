"""Follow the queries that wait for metadata locks while a migration runs, and judge the waits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from keystone_rollout.domain.run.events import LocksWatched
from keystone_rollout.domain.verdict import Verdict

ALLOWANCE_SECONDS = 2
"""Seconds that a query may wait beyond the migration's own limit: the queue has to drain."""

KEPT_STATEMENTS = 5
HEAD_LENGTH = 80

# In one pass, because a literal may hold a comment, and a comment a quote.
_TOKEN = re.compile(
    r"""(?P<name>`[^`]*`)
    |(?P<comment>/\*.*?(?:\*/|\Z)|(?:--\s|\#)[^\n]*)
    |'(?:[^'\\]|\\.|\\\Z|'')*(?:'|\Z)
    |"(?:[^"\\]|\\.|\\\Z|"")*(?:"|\Z)
    |(?<![\w$])\d[\w.]*""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class WaitingQuery:
    """One waiting session, its seconds by the server's count, and its query."""

    thread: int
    seconds: float
    statement: str


@dataclass(frozen=True)
class OpenTransaction:
    """One transaction, without its statement, which may hold somebody's data."""

    thread: int
    user: str
    seconds: float

    def __str__(self) -> str:
        return f"thread {self.thread} of user {self.user}, open for {self.seconds:.0f} s"


class LockWaits:
    """The waits that the polls during one phase saw."""

    def __init__(self, phase: str, lock_wait_timeout: int) -> None:
        self.phase = phase
        self.limit = lock_wait_timeout + ALLOWANCE_SECONDS
        self.lock_wait_timeout = lock_wait_timeout
        self.polls = 0
        self.most_waiting = 0
        self.longest_seconds = 0.0
        self.statements: list[str] = []
        self.holder: OpenTransaction | None = None
        self.blind: str | None = None
        self._since: dict[int, tuple[float, WaitingQuery]] = {}

    def look(
        self, t: float, waiting: Sequence[WaitingQuery], transactions: Sequence[OpenTransaction]
    ) -> str | None:
        """Take one poll at the time ``t``; return a line if waits have begun or ended."""
        before = bool(self._since)
        self.polls += 1
        self.most_waiting = max(self.most_waiting, len(waiting))
        self._since = {query.thread: self._began(t, query) for query in waiting}
        for began, query in self._since.values():
            # The server counts whole seconds only, and a poll sees a wait late: the longer time
            # counts.
            self.longest_seconds = max(self.longest_seconds, query.seconds, t - began)
            self._keep(query.statement)
        self._keep_holder(transactions)
        if bool(waiting) == before:
            return None
        if not waiting:
            return f"{self.phase}: nothing waits for a metadata lock any more, {self.measured}"
        holder = self.holder or "unknown"
        return (
            f"{self.phase}: waits for a metadata lock have begun, {len(waiting)} at once: "
            f"{statement_head(waiting[0].statement)}; the longest open transaction is {holder}"
        )

    def lose_sight(self, reason: str) -> None:
        """Note that the waits cannot be read any more, and why."""
        self.blind = reason

    @property
    def waiting_now(self) -> int:
        """Return how many sessions waited at the last poll."""
        return len(self._since)

    @property
    def measured(self) -> str:
        """Return the numbers in words."""
        return f"longest wait {self.longest_seconds:.1f} s, {self.most_waiting} at once"

    def verdict(self) -> Verdict:
        """Judge the waits; if they could not be read to the end, the check has failed."""
        measured = f"{self.measured}, {self.polls} polls"
        if self.blind is not None:
            measured = f"not measured to the end: {self.blind}"
        elif not self.polls:
            measured = "never measured"
        return Verdict(
            ok=self.blind is None and self.polls > 0 and self.longest_seconds <= self.limit,
            check="metadata locks",
            object=self.phase,
            measured=measured,
            limit=f"at most {self.limit} s: lock_wait_timeout {self.lock_wait_timeout} s + "
            f"{ALLOWANCE_SECONDS} s",
            consequence="clients whose queries need that table may have waited as long; nothing "
            "further was started",
            next_step=f"find out what held the lock ({self.holder or 'no transaction was seen'}), "
            "then start the upgrade again: a phase that is done is not run twice",
        )

    def event(self) -> LocksWatched:
        """Return the numbers for the run record."""
        return LocksWatched(
            phase=self.phase,
            polls=self.polls,
            most_waiting=self.most_waiting,
            longest_seconds=round(self.longest_seconds, 1),
            statements=self.statements,
        )

    def _began(self, t: float, query: WaitingQuery) -> tuple[float, WaitingQuery]:
        began, earlier = self._since.get(query.thread, (t, query))
        same = earlier.statement == query.statement and earlier.seconds <= query.seconds
        return (began if same else t, query)

    def _keep(self, statement: str) -> None:
        head = statement_head(statement)
        if head not in self.statements and len(self.statements) < KEPT_STATEMENTS:
            self.statements.append(head)

    def _keep_holder(self, transactions: Sequence[OpenTransaction]) -> None:
        others = [each for each in transactions if each.thread not in self._since]
        if self._since and others:
            longest = max(others, key=lambda each: each.seconds)
            if self.holder is None or longest.seconds >= self.holder.seconds:
                self.holder = longest


def statement_head(statement: str) -> str:
    """Return the beginning of a statement without comments and literals, which may be secret."""
    text = " ".join(_TOKEN.sub(_without_data, statement).split())
    return text if len(text) <= HEAD_LENGTH else f"{text[: HEAD_LENGTH - 1]}…"


def _without_data(token: re.Match[str]) -> str:
    if token["name"]:
        return token["name"]
    return " " if token["comment"] else "?"
