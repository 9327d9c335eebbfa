"""Plan an upgrade of the lab with the real DAG, and print the plan; nothing is changed."""

import argparse
from collections.abc import Sequence

import docker

from lab import up as bring_up
from lab.airflow.upgrade_run import UpgradeRun
from lab.cli import only_one_at_a_time
from lab.cloud import nodes
from lab.hop import Hop, add_arguments, current, plan_hop
from machine import engine
from machine.errors import CommandError
from machine.progress import Report

DAG = "keystone_plan"
TIME_LIMIT_SECONDS = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring the lab up if needed, plan, print the text; 0 only if nothing stands in the way."""
    parser = argparse.ArgumentParser(prog="python -m lab plan", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        with Report() as report:
            hop = plan_hop(options.release, options.target, options.own_cache)
            if not serves(hop, engine.connect()):
                with only_one_at_a_time():
                    bring_up.up(hop, report)
            with report.step(f"plan of {hop.source.version} → {hop.target.version}"):
                run = new_run(hop)
                run.start()
                code = run.wait(TIME_LIMIT_SECONDS)
        return show(run, code)
    except (CommandError, TimeoutError) as error:
        print(f"error: {error}")
        return 1


def serves(hop: Hop, client: docker.DockerClient) -> bool:
    """Tell whether the lab is set up for this upgrade; it may be half-way through it."""
    try:
        return current() == hop and all(state.running for state in nodes.read_states(client))
    except CommandError:
        return False


def new_run(hop: Hop) -> UpgradeRun:
    """Return a run of the plan against the lab, not yet started."""
    params = {"cloud": "lab", "source": hop.source.version, "target": hop.target.version}
    return UpgradeRun(params, dag=DAG)


def show(run: UpgradeRun, code: int) -> int:
    """Print the plan and where its page is; return the exit code."""
    text = run.directory / "plan.txt" if run.directory else None
    if text is None or not text.exists():
        print(f"error: the plan wrote no page (exit code {code}). Next: read {run.log}")
        return 1
    print(text.read_text(encoding="utf-8"))
    print(f"page: {text.with_name('plan.html')}")
    return 1 if code else 0
