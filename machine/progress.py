"""The progress of a command, for people: one line per step with its elapsed time."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

REPORT_EVERY_S = 10.0
"""Seconds between two progress lines of one step without a terminal."""


class Step:
    """One running step, and how far it is."""

    def __init__(self, report: "Report", title: str) -> None:
        self._report = report
        self.title = title
        self.started = time.monotonic()
        self._last_line = self.started
        self._task: TaskID | None = report.add_bar(title)

    def advance(self, done: int, total: int) -> None:
        """Show that *done* of *total* units are finished."""
        if self._task is not None:
            self._report.progress.update(self._task, completed=done, total=total)
            return
        now = time.monotonic()
        if now - self._last_line >= REPORT_EVERY_S:
            self._last_line = now
            self._report.line(f"{self.title}: {done} of {total}")

    def note(self, text: str) -> None:
        """Show a remark beside the step."""
        if self._task is not None:
            self._report.progress.update(self._task, description=f"{self.title} · {text}")
            return
        now = time.monotonic()
        if now - self._last_line >= REPORT_EVERY_S:
            self._last_line = now
            self._report.line(f"{self.title}: {text}")

    def close(self, outcome: str) -> None:
        """Remove the bar and print the final line."""
        if self._task is not None:
            self._report.progress.remove_task(self._task)
        self._report.line(f"{self.title}: {outcome} in {time.monotonic() - self.started:.1f} s")


class Report:
    """All steps of one command; bars on a terminal, plain lines elsewhere. Thread-safe."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._live = sys.stdout.isatty()

    def __enter__(self) -> "Report":
        if self._live:
            self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self.progress.stop()

    def add_bar(self, title: str) -> TaskID | None:
        """Return a new bar, or None without a terminal."""
        return self.progress.add_task(title, total=None) if self._live else None

    def line(self, text: str) -> None:
        """Print *text* after the time since the command began."""
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        with self._lock:
            self.console.print(f"[{minutes}:{seconds:02d}] {text}", markup=False)
            self.console.file.flush()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Run one step: say that it begins (without a terminal), and how it ended."""
        if not self._live:
            self.line(f"{title} ...")
        step = Step(self, title)
        try:
            yield step
        except BaseException:
            step.close("FAILED")
            raise
        step.close("done")
