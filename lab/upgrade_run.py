"""Run the upgrade DAG with `airflow dags test` in a process of its own, and follow it."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.paths import LOG, ROOT, STATE

RUNS = STATE / "runs"
DAG = "keystone_upgrade"


def activated_environment() -> dict[str, str]:
    """Return the environment that `source lab/activate` makes: the operator's own way in."""
    output = subprocess.run(
        ["bash", "-c", 'source "$0" >&2 && env -0', str(ROOT / "lab" / "activate")],
        check=True,
        capture_output=True,
    ).stdout
    pairs = (entry.split("=", 1) for entry in output.decode().split("\0") if "=" in entry)
    return {name: value for name, value in pairs}


class UpgradeRun:
    """One run of the DAG; its record is read while it goes on."""

    def __init__(self, params: Mapping[str, Any], clouds: Path | None = None) -> None:
        self.params = dict(params)
        self.clouds = clouds
        self.log = LOG / f"upgrade-{time.strftime('%Y%m%dT%H%M%S')}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._known = self._directories()
        self._read = 0

    def start(self) -> None:
        """Start the run; its output goes to the log file."""
        environment = activated_environment()
        if self.clouds is not None:
            environment["ROLLOUT_CLOUDS"] = str(self.clouds)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                ["airflow", "dags", "test", DAG, "-c", json.dumps(self.params)],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def directory(self) -> Path | None:
        """Return the run's directory, once it is there."""
        new = sorted(self._directories() - self._known)
        return RUNS / new[-1] if new else None

    def events(self) -> list[dict[str, Any]]:
        """Return what the run has recorded so far."""
        path = self.directory and self.directory / "events.jsonl"
        if not path or not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def new_events(self) -> Iterator[dict[str, Any]]:
        """Yield what was recorded since the last call."""
        events = self.events()
        yield from events[self._read :]
        self._read = len(events)

    def ended(self) -> bool:
        """Tell whether the run has ended."""
        return self.process is not None and self.process.poll() is not None

    def wait(self, seconds: float) -> int:
        """Wait for the end and return the exit code; TimeoutError names the log."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(
                f"the run has not ended after {seconds:g} s, see {self.log}"
            ) from error

    def report(self) -> dict[str, Any]:
        """Return the run's report as data; empty where none was written."""
        path = self.directory and self.directory / "report.json"
        if not path or not path.exists():
            return {}
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return data

    def _directories(self) -> set[str]:
        return {path.name for path in RUNS.glob("*")} if RUNS.is_dir() else set()
