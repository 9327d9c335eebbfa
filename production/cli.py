"""Command line: ``python -m production up|worker|down|connections``."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from machine import engine, network
from machine.errors import CommandError
from machine.progress import Report
from production import containers, images, paths, secret_files
from production import settings as settings_module
from production.page import Page
from production.settings import LAB_NETWORK, Settings

HEALTHY_S = 240.0
"""Seconds until all components have to be healthy; two busy cores take about half of it."""

DAGS = {"keystone_plan", "keystone_upgrade", "keystone_rollback", "keystone_restore"}
DAGS_S = 120.0
"""Seconds until Airflow has to have read the DAGs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error that the operator can act on ends without a traceback."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "up":
            with Report() as report:
                up(_settings(options), report)
        elif options.command == "worker":
            with Report() as report:
                start_worker(_settings(options), report)
        elif options.command == "down":
            containers.stop()
            print("Airflow's containers are gone; its database, secrets, logs and reports stay")
        else:
            print(containers.import_connections(options.file), end="")
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def up(settings: Settings, report: Report) -> None:
    """Make the missing parts, start Airflow, wait for it, and say how to log in."""
    client = engine.connect()
    page = Page(settings.address)
    if not network.is_free(settings.port) and not _is_ours(settings.port):
        raise CommandError(
            f"127.0.0.1:{settings.port} (Airflow's page) is in use by another process; stop it "
            "(find it with: ss -ltnp), or choose another one: make airflow PORT=8081"
        )
    settings.check()
    made = secret_files.ensure()
    settings_module.write(settings, network.find_prefix(client, LAB_NETWORK))
    if made:
        report.line(f"made, in files that only this account can read: {', '.join(made)}")
    images.ensure(client, settings.profiles, report)
    began = datetime.now(UTC)
    with report.step("containers"):
        containers.start()
    with report.step("Airflow"):
        page.wait_until_healthy(HEALTHY_S, since=datetime.now(UTC))
    with report.step("DAGs"):
        page.wait_for_dags(DAGS, DAGS_S, since=began)
    if paths.LAB_CONNECTIONS.exists():
        with report.step("connections of the lab"):
            containers.import_connections(paths.LAB_CONNECTIONS)
    _say_how_to_log_in(settings, report)


def start_worker(settings: Settings, report: Report) -> None:
    """Start a worker for an Airflow on another machine, reached on 127.0.0.1 by a tunnel."""
    client = engine.connect()
    secret_files.require_worker_secrets()
    ports = (settings.port, secret_files.REDIS_PORT)
    if any(network.is_free(port) for port in ports) or not Page(settings.address).health():
        tunnel = " ".join(f"-L {port}:127.0.0.1:{port}" for port in ports)
        raise CommandError(
            f"Airflow and its queue do not answer on 127.0.0.1 (ports {ports[0]} and {ports[1]}); "
            f"no worker was started. Next: ssh -N {tunnel} <the machine that Airflow runs on>"
        )
    settings_module.write(settings, network.find_prefix(client, LAB_NETWORK))
    images.ensure(client, [], report)
    with report.step("worker"):
        containers.start_worker()


def _is_ours(port: int) -> bool:
    """Tell whether the Airflow that was started before is the one that listens there."""
    if not paths.COMPOSE_ENV.exists():
        return False
    return settings_module.read_written().get("ROLLOUT_PORT") == str(port) and bool(
        Page(f"http://127.0.0.1:{port}").health()
    )


def _say_how_to_log_in(settings: Settings, report: Report) -> None:
    users = ", ".join(f"{name} ({role})" for name, role in secret_files.USERS.items())
    report.line(f"Airflow: {settings.url or settings.address}/")
    report.line(f"log in as one of: {users}; the passwords are in {paths.PASSWORDS}")
    tunnel = f"ssh -L {settings.port}:127.0.0.1:{settings.port} <this machine>"
    report.line(f"from another machine: {tunnel}")
    report.line(f"records and reports of the runs: {paths.RUNS}")


def _settings(options: argparse.Namespace) -> Settings:
    files = Path(options.files) if options.files else None
    celery = options.celery or options.command == "worker"
    return Settings(options.port, options.url.rstrip("/"), files, celery)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m production", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in {
        "up": "start Airflow, making what is missing",
        "worker": "start a worker for an Airflow on another machine",
    }.items():
        each = commands.add_parser(name, help=purpose)
        each.add_argument("--port", type=int, default=8080, help="of the page, on 127.0.0.1")
        each.add_argument("--url", default="", help="how a browser reaches it, behind a proxy")
        each.add_argument("--files", default="", help="folder of the cloud files' own files")
        each.add_argument("--celery", action="store_true", help="run tasks in a worker")
    commands.add_parser("down", help="stop Airflow; nothing is lost")
    connections = commands.add_parser("connections", help="store the connections of a file")
    connections.add_argument(
        "file", type=Path, help="as `python -m keystone_rollout.cli.connections` made"
    )
    return parser
