"""docker-compose.yaml as Compose itself reads it: who listens, who sees what, and no secret."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.configuration import conf

from keystone_rollout.hooks.files.run_directory import rehearsals_folder
from lab import paths as lab_paths
from machine.compose import find_command
from production import paths, secret_files, settings
from production.secret_files import NAMES, USERS
from production.settings import Settings

ROOT = lab_paths.ROOT
OURS = {"airflow", "celery"}
HOLDS_SECRETS = re.compile(
    r"password|secret|fernet|token|sql_alchemy_conn|broker_url|result_backend"
)
RUN_TASKS = {"scheduler", "worker"}

Services = dict[str, dict[str, Any]]

pytestmark = pytest.mark.skipif(
    not (shutil.which("docker") or shutil.which("docker-compose")),
    reason="needs Docker Compose, which `make setup` installs and `make check` does without",
)


def compose_config(variables: Path, profiles: list[str], *options: str) -> str:
    """Return what `config` prints; nothing may be said on stderr."""
    command = [*find_command(), "--env-file", str(variables)]
    for profile in profiles:
        command += ["--profile", profile]
    ours = ("ROLLOUT_", "COMPOSE_", "LAB_")
    done = subprocess.run(
        [*command, "config", *options],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the file as Compose reads it, with the variables of an installation."""
    file = tmp_path_factory.mktemp("compose") / "compose.env"
    variables = Settings(port=8085, celery=True).variables("10.9.8")
    file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return compose_config(file, ["airflow", "celery", "lab"])


@pytest.fixture(scope="module")
def services(rendered: str) -> Services:
    """Return all services, those of the lab included."""
    found: Services = yaml.safe_load(rendered)["services"]
    return found


@pytest.fixture(scope="module")
def airflow(services: Services) -> Services:
    """Return the services of the profiles airflow and celery."""
    return {name: each for name, each in services.items() if OURS & {*each["profiles"]}}


@pytest.mark.parametrize("profile", ["airflow", "celery", "lab"])
def test_compose_reads_every_profile_without_any_variable(profile: str, tmp_path: Path) -> None:
    (tmp_path / "empty.env").touch()
    compose_config(tmp_path / "empty.env", [profile], "--quiet")


def test_nothing_starts_without_a_profile_and_each_has_one(services: Services) -> None:
    of_profile: dict[str, set[str]] = {}
    for name, each in services.items():
        (profile,) = each["profiles"]
        of_profile.setdefault(profile, set()).add(name)
    assert of_profile.keys() == {"airflow", "celery", "lab"}
    assert of_profile["airflow"] == {
        "postgres", "migrate", "api-server", "scheduler", "dag-processor", "triggerer",
    }  # fmt: skip
    assert of_profile["celery"] == {"redis", "worker"}


def published(services: Services) -> list[str]:
    """Return the addresses that the engine listens on; Compose 2 writes ports as mappings."""
    ports = [port for each in services.values() for port in each.get("ports", [])]
    return [
        port.rsplit(":", 2)[0] if isinstance(port, str) else str(port.get("host_ip"))
        for port in ports
    ]


def test_every_published_port_is_on_the_loopback_address(services: Services) -> None:
    assert len(published(services)) >= 9
    assert set(published(services)) == {"127.0.0.1"}


def test_who_is_on_the_hosts_network_listens_on_the_loopback_address_or_not_at_all(
    airflow: Services,
) -> None:
    on_host = {name for name, each in airflow.items() if each["network_mode"] == "host"}
    assert on_host == {"api-server", "scheduler", "triggerer", "redis", "worker"}
    assert {each["network_mode"] for each in airflow.values()} == {"host", "none"}
    assert not any("ports" in each for each in airflow.values())
    api = airflow["api-server"]["environment"]
    assert (api["AIRFLOW__API__HOST"], api["AIRFLOW__API__PORT"]) == ("127.0.0.1", "8085")
    # Without it each of these serves logs on every address.
    for name in ("scheduler", "triggerer", "worker"):
        assert "--skip-serve-logs" in airflow[name]["command"]


def test_no_secret_is_in_the_file_that_compose_makes(
    rendered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "SECRETS", tmp_path / "secrets")
    monkeypatch.setattr(paths, "PASSWORDS", tmp_path / "login.json")
    for name in ("STATE", "LOGIN", "CONFIGURATION", "RUNS", "REHEARSALS", "LOGS", "FILES"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    secret_files.ensure()
    for name in NAMES:
        assert (paths.SECRETS / name).read_text() not in rendered


def test_an_option_that_holds_a_secret_is_read_from_a_file_by_a_command(airflow: Services) -> None:
    sensitive = {
        f"AIRFLOW__{section}__{key}".upper() for section, key in conf.sensitive_config_values
    } | {"AIRFLOW__CELERY__BROKER_URL", "AIRFLOW__CELERY__RESULT_BACKEND"}
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in sensitive
    by_command = {}
    for service in airflow.values():
        for name, value in service.get("environment", {}).items():
            assert name not in sensitive
            if name.endswith("_CMD"):
                assert name.removesuffix("_CMD") in sensitive, "Airflow would not run it"
                by_command[name] = str(value)
            elif HOLDS_SECRETS.search(name.lower()):
                assert name == "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
                assert value == "/run/login/passwords.json"
    assert len(by_command) == 7
    for value in by_command.values():
        assert re.fullmatch(r"cat /run/secrets/[a-z_]+", value)


def secret_names(service: dict[str, Any]) -> set[str]:
    """Return the secrets of a service; Compose 2 and `config` write them as mappings."""
    return {
        each if isinstance(each, str) else each["source"] for each in service.get("secrets", [])
    }


def test_each_service_has_the_secrets_that_its_options_read_and_no_other(airflow: Services) -> None:
    for name, service in airflow.items():
        read = {
            str(value).removeprefix("cat /run/secrets/")
            for option, value in service.get("environment", {}).items()
            if option.endswith("_CMD")
        }
        wanted = {"postgres": {"postgres_password"}, "redis": {"redis_password"}}.get(name, read)
        assert secret_names(service) == wanted, name
    assert secret_names(airflow["worker"]) == {"broker_url", "result_backend"}


def test_every_secret_is_a_file_of_ours(rendered: str) -> None:
    declared = yaml.safe_load(rendered)["secrets"]
    assert set(declared) == set(NAMES)
    for name, each in declared.items():
        assert Path(each["file"]) == paths.SECRETS / name


def test_who_may_log_in_has_a_password_before_airflow_starts(airflow: Services) -> None:
    api = airflow["api-server"]["environment"]
    assert api["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
    users = dict(
        user.split(":") for user in api["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].split(",")
    )
    assert users == USERS


def mounts(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Return source and writability of each mount by where it is in the container."""
    found = {}
    for each in service.get("volumes", []):
        if isinstance(each, dict):
            found[each["target"]] = (each["source"], not each.get("read_only", False))
        else:
            source, target, *mode = each.split(":")
            found[target] = (source, mode != ["ro"])
    return found


def test_only_who_runs_tasks_reaches_the_engine(airflow: Services) -> None:
    with_socket = {name for name, each in airflow.items() if "/var/run/docker.sock" in mounts(each)}
    assert with_socket == RUN_TASKS


def test_the_project_is_mounted_under_the_hosts_own_paths(airflow: Services) -> None:
    """The engine mounts what a task names from the host, and the report's address is its path."""
    for name in airflow.keys() - {"postgres", "redis"}:
        for target, (source, _) in mounts(airflow[name]).items():
            if source.startswith(str(ROOT)) and target != "/run/login":
                assert target == source, name
    for name in RUN_TASKS:
        own = mounts(airflow[name])
        for folder in (
            "dags",
            "plugins",
            "include",
            "docs",
            "lab",
            "machine",
            "docker-compose.yaml",
        ):
            assert own[str(ROOT / folder)] == (str(ROOT / folder), False)
        for folder in (".lab", ".airflow/runs", ".airflow/logs", ".airflow/files"):
            assert own[str(ROOT / folder)] == (str(ROOT / folder), True)
    page = mounts(airflow["api-server"])
    assert page[str(paths.RUNS)] == mounts(airflow["scheduler"])[str(paths.RUNS)]


def test_the_history_that_a_task_writes_is_the_one_that_the_page_shows(
    airflow: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in RUN_TASKS:
        monkeypatch.setenv("ROLLOUT_RUNS", airflow[name]["environment"]["ROLLOUT_RUNS"])
        assert mounts(airflow[name])[str(rehearsals_folder())] == (str(paths.REHEARSALS), True)
    page = airflow["api-server"]
    monkeypatch.setenv("ROLLOUT_RUNS", page["environment"]["ROLLOUT_RUNS"])
    assert mounts(page)[str(rehearsals_folder())] == (str(paths.REHEARSALS), False)


def test_compose_makes_no_folder_as_root(airflow: Services) -> None:
    """A source that is missing would be made by the engine, for root, and stay."""
    made = {
        str(path)
        for path in (
            paths.LOGIN,
            paths.CONFIGURATION,
            paths.RUNS,
            paths.REHEARSALS,
            paths.LOGS,
            paths.FILES,
        )
    }  # by make_state_directories, see test_production_settings
    for service in airflow.values():
        for source, _ in mounts(service).values():
            if source.startswith(str(ROOT)):
                tracked = Path(source).exists() and not source.startswith(str(paths.STATE))
                assert source in made or tracked or source == str(lab_paths.STATE), source


def test_airflow_runs_without_privileges(airflow: Services) -> None:
    for name in airflow.keys() - {"postgres", "redis"}:
        service = airflow[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert service["user"] == f"{os.getuid()}:{os.getgid()}"
        assert "privileged" not in service


def test_every_image_has_a_dockerfile_here(services: Services) -> None:
    for name, service in services.items():
        image = service["image"].removeprefix("keystone-rollout/").split(":")[0]
        found = [
            path
            for path in (lab_paths.IMAGES / image, paths.IMAGES / image)
            if (path / "Dockerfile").is_file()
        ]
        assert len(found) == 1, f"{name}: {service['image']}"
        first = next(
            line
            for line in (found[0] / "Dockerfile").read_text().splitlines()
            if line.startswith("FROM ")
        )
        assert first.startswith("FROM keystone-rollout/"), "built from one base"


def test_what_is_kept_lies_in_volumes_that_clean_finds(rendered: str) -> None:
    for volume in yaml.safe_load(rendered)["volumes"].values():
        assert volume["name"].startswith("keystone-rollout-")
        assert volume["labels"]["org.keystone-rollout"] in ("lab", "airflow")


def test_the_variables_are_those_that_the_file_reads() -> None:
    text = (ROOT / "docker-compose.yaml").read_text()
    read = set(re.findall(r"\$\{([A-Z_]+):-", text))
    written = set(Settings().variables("10.9.8"))
    assert read - written == {"LAB_SOURCE"}
    assert written - read == {"COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES"}
    assert settings.PROJECT == "keystone-rollout-airflow"
