"""Command line of the lab: ``python -m lab up|reset|adopt|status|ui|plan|rehearsal|...``."""

import argparse
import fcntl
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import hop, paths, reset, status
from lab import up as bring_up
from lab.airflow import page
from lab.airflow.environment import UI_HOME
from machine import engine
from machine.errors import CommandError
from machine.progress import Report

DAG_COMMANDS = {
    "plan": "lab.plan",
    "rehearsal": "lab.rehearsal",
    "hops": "lab.campaigns.hops",
    "odyssey": "lab.campaigns.odyssey",
}
"""Commands that are imported only when they are wanted: they need more than the others."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error that the operator can act on ends without a traceback."""
    options, rest = _parser().parse_known_args(arguments)
    if options.command in DAG_COMMANDS:
        return _hand_over(DAG_COMMANDS[options.command], rest)
    if rest:
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if options.command == "ui":
            return page.serve_ui(options.home.resolve())
        with Report() as report:
            return _run(options, report)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace, report: Report) -> int:
    if options.command == "up":
        with only_one_at_a_time():
            bring_up.up(hop.plan_hop(options.release, options.target, options.own_cache), report)
        return 0
    client = engine.connect()
    if options.command == "adopt":
        with only_one_at_a_time():
            reset.adopt(client, report)
        return 0
    if options.command == "reset":
        with only_one_at_a_time():
            reset.reset(client, hop.current().source, report)
        return 0
    return 0 if status.show(client, report) else 1


@contextmanager
def only_one_at_a_time() -> Iterator[None]:
    """Refuse to change the lab while another command of this checkout changes it."""
    paths.STATE.mkdir(exist_ok=True)
    with (paths.STATE / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise CommandError(
                f"another lab command (pid {lock.read().strip() or 'unknown'}) is changing the "
                "lab; wait for it to end"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _hand_over(module: str, arguments: list[str]) -> int:
    """Hand over to a command that runs a DAG against the lab, and has options of its own."""
    return int(importlib.import_module(module).main(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the lab at a release")
    hop.add_arguments(up)
    commands.add_parser("reset", help="reset it to the source release")
    commands.add_parser("adopt", help="make the lab's administrator known to loaded data")
    commands.add_parser("status", help="print one table")
    ui = commands.add_parser("ui", help="Airflow's web page on 127.0.0.1:8080 until Ctrl-C")
    ui.add_argument("--home", type=Path, default=UI_HOME, help="AIRFLOW_HOME of its own")
    commands.add_parser("plan", help="show what an upgrade would do", add_help=False)
    commands.add_parser("rehearsal", help="upgrade the lab under load", add_help=False)
    commands.add_parser("hops", help="a rehearsal of every hop", add_help=False)
    commands.add_parser("odyssey", help="one database through every release", add_help=False)
    return parser
