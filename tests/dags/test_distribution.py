"""The built distribution: all of it is in the wheel, and an Airflow that exists can use it."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "keystone_rollout"
FOLDERS = ("dags", "plugins", "include")
LOCAL = ("--local", "--bundle-name", "keystone-rollout")
"""Of Airflow's commands: read the files of this project's bundle now."""


def project_files() -> set[str]:
    """Return what has to be in the wheel, by its path there."""
    found = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()}
    found |= set((ROOT / "docs").glob("*.md"))
    found -= {ROOT / "plugins" / name for name in ("rollout_plugin.py", ".airflowignore")}
    names = {str(path.relative_to(ROOT)) for path in found if path.suffix != ".pyc"}
    package = f"plugins/{PACKAGE}/"
    return {
        name.removeprefix("plugins/") if name.startswith(package) else f"{PACKAGE}/{name}"
        for name in names
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the distribution from a copy, without a network and without an environment."""
    source = tmp_path_factory.mktemp("source")
    for name in (*FOLDERS, "docs"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    made = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(made)]
    run([sys.executable, "-m", "pip", "wheel", "-q", *options, str(source)], {**os.environ})
    (file,) = made.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install it into an environment that has Airflow already; return that one's Python."""
    folder = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)], {**os.environ})
    program = folder / "bin" / "python"
    # The packages of the environment that the tests run in, without installing each again.
    (site_packages(program) / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    options = ["--no-deps", "--no-index", str(wheel)]
    pip = [sys.executable, "-m", "pip", "--python", str(program)]
    run([*pip, "install", "-q", *options], {**os.environ})
    return program


def site_packages(program: Path) -> Path:
    """Return where an environment has its packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    environment = {name: each for name, each in os.environ.items() if name != "PYTHONPATH"}
    return Path(run([str(program), "-c", code], environment).strip())


@pytest.fixture(scope="module")
def package(installed: Path) -> Path:
    """Return the folder of the installed package."""
    return site_packages(installed) / PACKAGE


def run(command: list[str], environment: dict[str, str], *, errors: bool = False) -> str:
    """Return what a program prints, run where this checkout is not on Python's path."""
    done = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr + done.stdout if errors else done.stdout


def clean_environment() -> dict[str, str]:
    """Return the environment of somebody who knows nothing of this checkout."""
    ours = ("AIRFLOW", "ROLLOUT_", "PYTHONPATH")
    return {name: each for name, each in os.environ.items() if not name.startswith(ours)}


@pytest.fixture(scope="module")
def airflow(
    installed: Path, package: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Make an Airflow of its own that has the documented settings and knows nothing of us else."""
    home = tmp_path_factory.mktemp("airflow")
    clouds = home / "clouds"
    shutil.copytree(package / "include" / "clouds", clouds)
    options = ["--clouds", str(clouds), "--runs", str(home / "runs")]
    environment = clean_environment()
    printed = run([str(installed), "-m", PACKAGE, *options], environment)
    environment |= dict(shlex.split(line)[0].split("=", 1) for line in printed.splitlines())
    environment |= {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    command(installed, environment, "db", "migrate")
    return environment


def command(program: Path, environment: dict[str, str], *arguments: str) -> str:
    return run([str(program), "-m", "airflow", *arguments], environment, errors=True)


def listing(program: Path, environment: dict[str, str], *arguments: str) -> list[dict[str, str]]:
    """Return what Airflow lists; warnings of its own may stand above it."""
    printed = command(program, environment, *arguments, "--output", "json")
    listed: list[dict[str, str]] = json.loads(printed.strip().splitlines()[-1])
    return listed


def test_every_file_of_the_project_is_in_the_wheel_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert len(project_files()) > 200
    assert names == project_files()


def test_only_one_name_is_claimed(wheel: Path) -> None:
    """Packages called hooks or operators beside everybody else's would be overwritten by some."""
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {PACKAGE}


IMPORT_ALL = """
import importlib, pkgutil, sys
sys.argv = [""]
for top in ("keystone_rollout", "operators", "sensors"):
    package = importlib.import_module(top)
    for each in pkgutil.walk_packages(package.__path__, f"{top}."):
        if each.name.endswith(".__main__"):
            continue
        if each.name.split(".")[1] in ("dags", "include", "docs", "plugins"):
            continue
        importlib.import_module(each.name)
        print("imported", each.name)
"""


def plugin_modules() -> set[str]:
    """Return the name of every module of plugins/, as it is imported."""
    paths = [path.relative_to(ROOT / "plugins") for path in (ROOT / "plugins").rglob("*.py")]
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths}
    tops = {"keystone_rollout", "operators", "sensors"}
    return names - {"rollout_plugin", "keystone_rollout.__main__"} - tops


def names_imported(printed: str) -> set[str]:
    return set(re.findall(r"^imported (\S+)$", printed, re.M))


def test_every_module_can_be_imported_from_the_wheel(
    airflow: dict[str, str], installed: Path
) -> None:
    assert names_imported(run([str(installed), "-c", IMPORT_ALL], airflow)) == plugin_modules()


def test_every_module_can_be_imported_from_a_checkout() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    assert names_imported(run([sys.executable, "-c", IMPORT_ALL], environment)) == plugin_modules()


LOADED = """
from airflow import plugins_manager
plugins, errors = plugins_manager._get_plugins()
import sys
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
tops = {name.split(".")[0] for name, file in files.items() if file.startswith(sys.argv[1])}
print([(one.name, one.__module__) for one in plugins], errors, sorted(tops))
"""


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
def test_airflow_loads_one_plugin_from_a_checkout_and_no_file_beside_it(
    syntax: str, tmp_path: Path
) -> None:
    environment = clean_environment() | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX": syntax,
    }
    said = run([sys.executable, "-c", LOADED, str(ROOT / "plugins")], environment, errors=True)
    plugin = "[('keystone_rollout', 'keystone_rollout.web.plugin')]"
    assert f"{plugin} {{}} ['keystone_rollout', 'rollout_plugin']" in said


def test_the_settings_lead_to_dags_that_airflow_can_read(
    airflow: dict[str, str], installed: Path, package: Path
) -> None:
    listed = listing(installed, airflow, "dags", "list", *LOCAL, "--columns", "dag_id,fileloc")
    assert {"keystone_plan", "keystone_upgrade", "keystone_rollback", "keystone_restore"} <= {
        each["dag_id"] for each in listed
    }
    for each in listed:
        assert Path(each["fileloc"]).is_relative_to(package / "dags")
    assert listing(installed, airflow, "dags", "list-import-errors", *LOCAL) == []


def test_a_dag_that_cannot_be_read_would_be_seen(airflow: dict[str, str], installed: Path) -> None:
    done = subprocess.run(
        [str(installed), "-m", "airflow", "dags", "list-import-errors", *LOCAL, "--output", "json"],
        env={name: each for name, each in airflow.items() if name != "PYTHONPATH"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "No module named 'operators'" in done.stdout


def test_airflow_serves_the_pages_that_its_tasks_link_to(
    airflow: dict[str, str], installed: Path
) -> None:
    listed = listing(installed, airflow, "plugins")
    assert [each["name"] for each in listed] == ["keystone_rollout"]
    assert "/rollout" in json.dumps(listed)


def test_one_command_stores_the_connections_of_a_cloud(
    airflow: dict[str, str], installed: Path, tmp_path: Path
) -> None:
    asked = [str(installed), "-m", "keystone_rollout.cli.connections", "production-example"]
    file = tmp_path / "connections.yaml"
    file.write_text(run(asked, airflow).replace("FILL-IN", "sesame"))
    said = command(installed, airflow, "connections", "import", "--overwrite", str(file))
    assert "sesame" not in said
    stored = {line.split()[-1] for line in said.splitlines() if line.startswith("Imported ")}
    assert len(stored) == 12
    assert {"production_database_admin", "production_controller_3", "production_mail"} <= stored


def test_its_other_commands_work_from_there_too(airflow: dict[str, str], installed: Path) -> None:
    printed = run(
        [str(installed), "-m", "keystone_rollout.cli.sudoers", "production-example"], airflow
    )
    assert "Cmnd_Alias KEYSTONE_ROLLOUT" in printed


def test_a_checkout_says_that_it_is_none() -> None:
    done = subprocess.run(
        [sys.executable, "-m", PACKAGE],
        cwd=ROOT / "plugins",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "is a Git checkout and not an installed distribution" in done.stderr


def imports() -> Iterator[str]:
    """Return every module that the project imports, of providers with the provider's name."""
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield node.module or ""


def distribution_of(module: str) -> set[str]:
    """Return which distributions have a module, under their names in small letters."""
    parts = module.split(".")
    if module.startswith("airflow.providers."):
        size = 4 if parts[2] in ("common", "apache") else 3
        return {"apache-airflow-providers-" + "-".join(parts[2:size])}
    if parts[0] == "airflow":
        return {"apache-airflow"}
    found = packages_distributions().get(parts[0], [])
    return {re.sub(r"[_.]", "-", name).lower() for name in found}


def test_what_is_imported_is_installed_with_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        re.sub(r"[_.]", "-", re.split(r"[<>=]", each)[0]).lower()
        for each in project["dependencies"]
    }
    own = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()}
    own |= {path.stem for path in (ROOT / "include" / "locust").glob("*.py")}
    foreign = {
        module
        for module in imports()
        if (top := module.split(".")[0]) not in own and top not in sys.stdlib_module_names
    }
    assert {"docker", "locust", "pydantic"} <= {module.split(".")[0] for module in foreign}
    missing = {module for module in foreign if not distribution_of(module) & declared}
    assert missing == set()


def test_the_tested_versions_are_among_the_allowed() -> None:
    """A version below the one that everything is tested with would be a promise without proof."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = dict(
        line.lower().split("==") for line in (ROOT / "requirements.txt").read_text().splitlines()
    )
    pins = {re.sub(r"[_.]", "-", name): version for name, version in pins.items()}
    for each in project["dependencies"]:
        name, version = re.sub(r"_", "-", each).lower().split(">=")
        assert pins[name] == version, name
