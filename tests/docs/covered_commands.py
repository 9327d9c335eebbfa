"""Say, for each command of the documentation, who executes it.

Either the test beside this file does, in a copy of the project with a home and an Airflow of its
own; or another test does, which is named here with a text that has to be in it. A command that
stands in neither list is one that nobody runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HOP = r"( (FROM|TO|HOPS|OWN_CACHE|KEYSTONE_DIST)=\S+)*"
CLOUD = r'"cloud": "[\w-]+"'

RUN_HERE = (
    r'export (AIRFLOW__CORE__\w+_FOLDER|PYTHONPATH)="\$PWD/\w+"',
    r"airflow db migrate",
    r"airflow dags list-import-errors",
    r'airflow dags unpause --treat-dag-id-as-regex "\^keystone_\S+" --yes',
    rf"airflow dags trigger keystone_\w+ --conf '{{{CLOUD}.*}}'",
    r"airflow connections import ~/connections\.yaml",
    r"cp include/clouds/production-example\.yaml include/clouds/production\.yaml",
    r"airflow dags reserialize",
    r"install -m 600 /dev/null ~/connections\.yaml",
    r"make connections CLOUD=[\w-]+ > ~/connections\.yaml",
    r"shred -u ~/connections\.yaml",
    r"make sudoers CLOUD=\w+ ACCOUNT=\w+ > ~/keystone-rollout\.sudoers",
    r"make (help|reference)",
)
"""Patterns of commands that are executed as they are written."""

AFTER = {"airflow db migrate": "airflow dags reserialize"}
"""What Airflow's dag-processor does by itself, and no dag-processor runs in the test."""

PRINTS = {
    "airflow dags list-import-errors": "No data found",
    "airflow connections import ~/connections.yaml": "Imported connection production_pager",
    "make help": "make rehearsal",
    "make reference": "wrote docs/cloud-file.md",
}
"""What has to be in the output of a command whose exit status says little."""


@dataclass(frozen=True)
class Elsewhere:
    """Name the file that executes a command, a text in it, and what `make` makes of the command.

    ``recipe`` is looked for in what ``make --dry-run`` prints: the text in the file is the same
    invocation without make, whose `setup` installs what is missing on the machine.
    """

    pattern: str
    file: str
    text: str
    recipe: str = ""


ELSEWHERE = (
    Elsewhere(
        f"make rehearsal{HOP}", "tests/e2e/test_rehearsal.py", '"-m", "lab", "rehearsal"',
        "-m lab rehearsal",
    ),
    Elsewhere("make test", ".ci/run", "make test", "-m pytest"),
    # The tests that it runs are those of `make test` that are marked neither way.
    Elsewhere(
        "make check", "pyproject.toml", '"lab: needs the running lab"',
        '-m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not lab and not browser"',
    ),
    Elsewhere(
        r"\.venv/bin/python -m pytest tests/unit/domain/load/test_verdict\.py",
        "tests/unit/domain/load/test_verdict.py", "def test_",
    ),
    Elsewhere(
        "make test-scenarios", "pyproject.toml", '"tests/scenarios"', "pytest tests/scenarios",
    ),
    Elsewhere(f"make lab{HOP}", "tests/lab_fixtures.py", "bring_up.up(", "-m lab up"),
    Elsewhere("make lab-status", "tests/docs/test_lab_commands.py", '"status"', "-m lab status"),
    Elsewhere("make lab-reset", "tests/docs/test_lab_commands.py", '"reset"', "-m lab reset"),
    Elsewhere(f"make plan{HOP}", "tests/docs/test_lab_commands.py", '"plan"', "-m lab plan"),
    # All hops take hours: the command's own code runs there, with a stand-in for each rehearsal.
    Elsewhere(
        f"make hops{HOP}", "tests/unit/lab/campaigns/test_loop.py", "measure_all(",
        "-m lab hops",
    ),
    Elsewhere(
        "make odyssey", "tests/unit/lab/campaigns/test_odyssey.py", "make odyssey",
        "-m lab odyssey",
    ),
    Elsewhere("make ui", "tests/e2e/test_browser.py", '"-m", "lab", "ui"', "-m lab ui"),
    Elsewhere(
        "make screenshots", "tests/e2e/test_browser.py", "take_picture(",
        "SCREENSHOTS=docs/images",
    ),
    Elsewhere(
        "make airflow", "tests/e2e/test_production_airflow.py", 'production("up"',
        "-m production up",
    ),
    Elsewhere(
        r"make airflow-connections FILE=\S+", "tests/e2e/test_production_airflow.py",
        'production("connections"', "-m production connections",
    ),
    # There is no second machine: it runs beside the rest.
    Elsewhere(
        "make airflow-worker", "tests/e2e/test_production_airflow.py", 'production("worker"',
        "-m production worker",
    ),
    Elsewhere(
        "make airflow-down", "tests/e2e/test_production_airflow.py", 'production("down"',
        "-m production down",
    ),
    Elsewhere(
        r"docker-compose --env-file \.airflow/compose\.env (ps|logs scheduler)",
        "tests/e2e/test_production_airflow.py", '"--env-file", ".airflow/compose.env"',
    ),
    Elsewhere(
        "make wheel", "tests/dags/test_distribution.py", '"-m", "pip", "wheel"', "-m pip wheel",
    ),
    Elsewhere(
        r"pip install dist/keystone_rollout-\*\.whl", "tests/dags/test_distribution.py",
        '"install", "-q", *options',
    ),
    Elsewhere(
        r"python -m keystone_rollout --clouds \S+ --runs \S+ > airflow\.env",
        "tests/dags/test_distribution.py", '"-m", PACKAGE, *options',
    ),
    Elsewhere(
        r"airflow connections import --overwrite connections\.yaml",
        "tests/dags/test_distribution.py", '"connections", "import", "--overwrite"',
    ),
    Elsewhere("make clean", ".ci/run", "make clean", "lab/clean.sh"),
    Elsewhere("source lab/activate", "tests/unit/lab/test_setup.py", "/lab/activate"),
    Elsewhere(
        r"airflow dags test keystone_upgrade -c '\{\"auto_approve\": true\}'",
        "tests/e2e/test_rehearsal.py", '"auto_approve": True',
    ),
    Elsewhere(
        r"umask 077|\$\{EDITOR:-vi\} connections\.yaml|airflow connections import connections\.yaml"
        r"|shred -u connections\.yaml",
        "tests/dags/test_notifications_page.py", "subprocess.run(",
    ),
    Elsewhere(
        r"visudo -cf keystone-rollout\.sudoers",
        "tests/unit/domain/node/test_privileges_sudoers.py", '"-cf"',
    ),
    # What the lab's nodes do with the very file; tests/integration/test_node_sudo.py works with it.
    Elsewhere(
        r"install -o root -g root -m 0440 keystone-rollout\.sudoers "
        r"/etc/sudoers\.d/keystone-rollout",
        "lab/images/node/entrypoint.sh", "install -o root -g root -m 0440 /lab/sudoers",
    ),
)  # fmt: skip


def runs_here(command: str) -> bool:
    """Tell whether the test beside this file executes a command."""
    return any(re.fullmatch(pattern, command) for pattern in RUN_HERE)


def elsewhere(command: str) -> Elsewhere | None:
    """Return who else executes a command, or None where nobody does."""
    return next((each for each in ELSEWHERE if re.fullmatch(each.pattern, command)), None)
