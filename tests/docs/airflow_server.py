"""Run `airflow` commands from one interpreter that has loaded Airflow once: a fork for each.

Loading is most of what a command takes. Each line on standard input is one command's words, as a
shell quotes them; its exit status is the line that answers it, on file descriptor 3.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import traceback

LOADED = (
    "airflow.__main__",
    "airflow.cli.cli_parser",
    "airflow.cli.commands.connection_command",
    "airflow.cli.commands.dag_command",
    "airflow.cli.commands.db_command",
)


def serve() -> None:
    """Answer until standard input ends."""
    for name in LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_main(shlex.split(line)))
        _, status = os.waitpid(child, 0)
        os.write(3, f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _main(words: list[str]) -> int:
    """Do what the program `airflow` does, and return its exit status."""
    sys.argv = ["airflow", *words]
    try:
        sys.modules["airflow.__main__"].main()
        status: object = 0
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    if status is None:
        return 0
    return status if isinstance(status, int) else 1


if __name__ == "__main__":
    serve()
