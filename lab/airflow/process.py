"""One `airflow` command in a process group of its own, with the environment of `lab/activate`."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.paths import LOG, ROOT, STATE
from machine.errors import CommandError


@dataclass(frozen=True)
class AirflowSite:
    """One Airflow installation: its home, and where its runs keep their records."""

    home: Path
    runs: Path


LAB = AirflowSite(STATE / "airflow", STATE / "runs")
"""The Airflow that `source lab/activate` leads to."""


def activated_environment(site: AirflowSite = LAB) -> dict[str, str]:
    """Return the environment that `source lab/activate` makes, for *site*.

    Makes the metadata database of another site than the lab's own if it is missing. Raises
    CommandError if that fails.
    """
    output = subprocess.run(
        ["bash", "-c", 'source "$0" >&2 && env -0', str(ROOT / "lab" / "activate")],
        check=True,
        capture_output=True,
    ).stdout
    pairs = (entry.split("=", 1) for entry in output.decode().split("\0") if "=" in entry)
    environment = {name: value for name, value in pairs}
    if site == LAB:
        return environment
    environment |= {"AIRFLOW_HOME": str(site.home), "ROLLOUT_RUNS": str(site.runs)}
    if not (site.home / "airflow.db").exists():
        site.home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["airflow", "db", "migrate"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
            raise CommandError(
                f"`airflow db migrate` in {site.home} exited with {done.returncode} (allowed: 0): "
                f"{tail}"
            )
    return environment


class AirflowProcess:
    """A process that runs one `airflow` command; it may be warmed up before that is known."""

    def __init__(self, site: AirflowSite = LAB) -> None:
        self.site = site
        self.log = _new_log()
        self.process: subprocess.Popen[bytes] | None = None

    def warm_up(self) -> None:
        """Start the process: it imports Airflow, and waits for the command line."""
        self._spawn([sys.executable, "-m", "lab.airflow.warm"], {}, subprocess.PIPE)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run a command; one that was warmed up gets it through its standard input."""
        if self.process is None:
            self._spawn(["airflow", *arguments], environment, subprocess.DEVNULL)
            return
        order = {"arguments": [*arguments], "environment": {**environment}}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.close()

    def dismiss(self) -> None:
        """End a process that was warmed up and is not needed."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _spawn(self, command: list[str], environment: Mapping[str, str], stdin: int) -> None:
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                env={**activated_environment(self.site), **environment},
                cwd=ROOT,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def _new_log() -> Path:
    """Make an empty log file named after this second; nobody else gets the same one."""
    LOG.mkdir(parents=True, exist_ok=True)
    name = path = LOG / f"upgrade-{time.strftime('%Y%m%dT%H%M%S')}.log"
    number = 1
    while True:
        try:
            path.touch(exist_ok=False)
            return path
        except FileExistsError:
            number += 1
            path = name.with_stem(f"{name.stem}-{number}")
