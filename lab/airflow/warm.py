"""Import what `airflow dags test` imports, then wait for its command line on standard input.

A run spends some eight seconds on imports before its first task begins. Whoever runs many, one
after another, starts the next process while the last run still ends, and saves that time; from the
command line on it is the same program. An end of input means that the process is not needed any
more.
"""

import importlib
import json
import os
import sys
import time

MODULES = (
    "airflow.__main__",
    "airflow.cli.commands.dag_command",
    "airflow.api_fastapi.execution_api.app",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
)
"""The modules to import first: the command line, and those of a run's first task."""

DAG_TEST = "airflow.sdk.definitions.dag"
LOOK_SECONDS = 0.2
"""Between two looks for a task. `dags test` takes a second, and the failure of an early
task goes to the next one at each look: ten of them before a run's end begins."""

_sleep = time.sleep


def look_more_often(seconds: float) -> None:
    """Sleep, in place of time.sleep; for less if it is `dags test` that looks for a task."""
    caller = sys._getframe(1).f_globals.get("__name__")
    _sleep(min(seconds, LOOK_SECONDS) if caller == DAG_TEST else seconds)


def main() -> None:
    """Wait for one line of JSON, ``{"arguments": [...], "environment": {...}}``, and obey it."""
    # `python -m` puts the working directory first; the `airflow` command does not.
    sys.path.pop(0)
    for module in MODULES:
        importlib.import_module(module)
    line = sys.stdin.readline()
    if not line:
        return
    # The run has no standard input, as if it had been started without this program.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    order = json.loads(line)
    os.environ.update(order["environment"])
    sys.argv = ["airflow", *order["arguments"]]
    time.sleep = look_more_often  # type: ignore[assignment]  # it is given seconds only
    importlib.import_module("airflow.__main__").main()


if __name__ == "__main__":
    main()
