"""Write a run's report from its directory alone, whatever became of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hooks.load_generator import LoadGeneratorHook
from hooks.report_file import write_report
from hooks.run_directory import RunDirectory
from rollout.load_samples import under_load
from rollout.run_record import build_record


def write_report_so_far(directory: RunDirectory) -> Path:
    """Write the report of a run that waits for an answer, for whoever has to give it.

    It is replaced at the run's end, and does not count as that end.
    """
    return write_report(directory, {**_record(directory, "waiting"), "failed_tasks": []})


def write_run_report(directory: RunDirectory, state: str, failed_tasks: Sequence[str]) -> Path:
    """Write report.json and report.html; return the latter's path.

    ``state`` is "succeeded", "failed" or "interrupted" (killed, and reported by a later run).
    """
    record = _record(directory, state)
    path = write_report(directory, {**record, "failed_tasks": list(failed_tasks)})
    directory.record("reported", state=state, path=str(path))
    return path


def _record(directory: RunDirectory, state: str) -> dict[str, Any]:
    samples = [
        sample
        for folder in sorted(directory.load.glob("*"), key=lambda path: int(path.name))
        for sample in under_load(LoadGeneratorHook(folder).samples())
    ]
    return build_record(directory.run_id, directory.events(), samples, state)
