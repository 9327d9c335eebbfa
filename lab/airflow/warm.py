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

MODULES = (
    "airflow.__main__",
    "airflow.cli.commands.dag_command",
    "airflow.api_fastapi.execution_api.app",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
)
"""The modules to import first: the command line, and those of a run's first task."""


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
    importlib.import_module("airflow.__main__").main()


if __name__ == "__main__":
    main()
