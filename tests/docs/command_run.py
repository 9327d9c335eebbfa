"""Execute commands of the documentation in one shell, one after another, as a reader would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.docs.covered_commands import AFTER
from tests.docs.documentation import Found

_MARK = "@@ keystone-rollout"
SECONDS = 600

_SERVER = Path(__file__).with_name("airflow_server.py")

# `airflow` as a function: it starts its server when it is first called, with what is exported by
# then, and hands the words over. The server's own output is the shell's, its answers a pipe.
_PREPARE = f"""\
exec 4>&1
airflow() {{
  if [ -z "${{server:-}}" ]; then
    coproc AIRFLOW {{ exec {sys.executable} {_SERVER} 3>&1 >&4; }}
    server=${{AIRFLOW[0]}} words=${{AIRFLOW[1]}}
  fi
  printf '%q ' "$@" >&"$words"; echo >&"$words"
  local status; read -r status <&"$server" || status=125
  return "$status"
}}
"""


@dataclass(frozen=True)
class Outcome:
    """Hold what a command printed, and how it ended; None: an earlier one ended the shell."""

    command: Found
    status: int | None
    output: str


@dataclass(frozen=True)
class CommandRun:
    """Hold the outcomes, and where the commands were run."""

    outcomes: tuple[Outcome, ...]
    project: Path
    home: Path
    environment: Mapping[str, str]


def run_commands(
    commands: Iterable[Found], project: Path, home: Path, environment: Mapping[str, str]
) -> CommandRun:
    """Run them as one script: what one of them exports, the next one has."""
    wanted = list(commands)
    script = _PREPARE + "".join(_lines(number, each.text) for number, each in enumerate(wanted))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=project,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    outcomes = tuple(_outcome(number, each, done.stdout) for number, each in enumerate(wanted))
    return CommandRun(outcomes, project, home, environment)


def _lines(number: int, command: str) -> str:
    after = AFTER.get(command)
    then = f"{after} >/dev/null 2>&1 || exit\n" if after else ""
    return f'{command}\necho "{_MARK} {number} $?"\n{then}'


def _outcome(number: int, command: Found, output: str) -> Outcome:
    before, mark, rest = output.partition(f"{_MARK} {number} ")
    status = int(rest.split()[0]) if mark else None
    return Outcome(command, status, before.rpartition(_MARK)[2])
