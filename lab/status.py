"""One table of the lab's state: nodes, releases, HAProxy's view, schema versions."""

import docker
from rich.table import Table

from lab.cloud import balancer, database, nodes
from machine.errors import CommandError
from machine.progress import Report


def show(client: docker.DockerClient, report: Report) -> bool:
    """Print the table; return whether everything could be read and every node serves."""
    problems: list[str] = []
    servers = {}
    try:
        servers = {server.name: server for server in balancer.servers()}
    except CommandError as error:
        problems.append(str(error))
    table = Table(title="lab", title_justify="left")
    for column in ("node", "installed", "running", "neighbour", "HAProxy admin", "HAProxy state"):
        table.add_column(column)
    for state in nodes.read_states(client):
        server = servers.get(state.node.name)
        table.add_row(
            state.node.name,
            state.installed or "-",
            state.running or "not running",
            state.neighbour or "-",
            server.administrative if server else "?",
            server.operational if server else "?",
        )
        if not state.running or server is None or not server.serving:
            problems.append(f"{state.node.name} does not serve")
    report.console.print(table)
    try:
        versions = database.schema_versions()
        shown = ", ".join(f"{name} {version}" for name, version in versions.items())
        report.console.print(f"schema: {shown or 'none'}")
        report.console.print(
            f"log_bin_trust_function_creators: {database.trust_function_creators()}"
        )
    except CommandError as error:
        problems.append(str(error))
    for problem in problems:
        report.console.print(f"problem: {problem}", markup=False)
    return not problems
