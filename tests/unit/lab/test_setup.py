"""The shell part of the set-up, run for real in directories of the test."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import paths
from lab.airflow import environment as airflow

SETUP = paths.SOURCES / "setup"
PACKAGES = {
    "environment": "python3-venv python3-dev gcc pkg-config default-libmysqlclient-dev "
    "ca-certificates",
    "lab": "debootstrap openssh-client procps iproute2 mariadb-client docker.io cgroupfs-mount "
    "docker-compose",
    "tests": "chromium fonts-liberation openssh-server socat",
}
"""What each part adds to those before it."""
PARTS = list(PACKAGES)
TARGETS = {
    "": "help clean",
    "environment": "connections sudoers reference wheel lint check bench-load simulate "
    "airflow-connections airflow-down",
    "lab": "lab lab-reset lab-status plan rehearsal hops odyssey bench ui airflow airflow-worker",
    "tests": "setup test test-scenarios screenshots",
}
"""What each target asks for."""


def bash(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail; begin=${{EPOCHREALTIME/./}}; {script}"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def remove_stale_files(run: Path) -> str:
    done = bash(
        f". {SETUP}/console.sh; . {SETUP}/engine.sh; remove_stale_files",
        LAB_RUN_DIRECTORY=str(run),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pid_file_whose_number_belongs_to_another_process_is_stale(tmp_path: Path) -> None:
    (tmp_path / "docker/containerd").mkdir(parents=True)
    files = (tmp_path / "docker.pid", tmp_path / "docker/containerd/containerd.pid")
    for file in files:
        file.write_text(str(os.getpid()))
    output = remove_stale_files(tmp_path)
    assert not any(file.exists() for file in files)
    assert f"removing {files[0]}, whose process is no dockerd" in output


def test_the_pid_file_of_a_living_engine_stays(tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    engine = shutil.copy(sleep, tmp_path / "dockerd")
    with subprocess.Popen([engine, "60"]) as process:
        try:
            (tmp_path / "docker.pid").write_text(str(process.pid))
            assert remove_stale_files(tmp_path) == ""
            assert (tmp_path / "docker.pid").exists()
        finally:
            process.kill()


def find_missing(part: str, folder: Path, stand_ins: str) -> list[str]:
    """Return what a part lacks on a bare machine that has only FOLDER's programs and stand-ins."""
    for name in ("awk", "grep"):
        program = shutil.which(name)
        assert program is not None
        (folder / name).symlink_to(program)
    bare = ("environment_is_current", "engine_answers", "base_images_exist", "mountpoint",
            "has_sshd")  # fmt: skip
    done = bash(
        f". {SETUP}/requirements.sh; is_debian() {{ true; }}; is_ubuntu() {{ false; }}; "
        + "".join(f"{name}() {{ false; }}; " for name in bare)
        + f"dpkg-query() {{ true; }}; {stand_ins} PATH={folder}; "
        f"find_missing {part}; echo $missing"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_asks_for_its_own_packages_and_those_before_it(part: str, tmp_path: Path) -> None:
    wanted = " ".join(PACKAGES[each] for each in PARTS[: PARTS.index(part) + 1]).split()
    assert find_missing(part, tmp_path, "") == wanted


@pytest.mark.parametrize(
    ("stand_ins", "part", "left"),
    [
        ("environment_is_current() { true; };", "environment", ""),
        ("environment_is_current() { true; };", "lab", PACKAGES["lab"]),
        ("dpkg-query() { echo installed gcc; echo half-installed python3-dev; };", "environment",
         PACKAGES["environment"].replace("gcc ", "")),
        ("environment_is_current() { true; }; base_images_exist() { true; }; "
         "engine_answers() { true; }; docker() { true; };", "lab", "mariadb-client"),
        ("environment_is_current() { true; }; base_images_exist() { true; }; "
         "dockerd() { true; }; docker() { false; }; mysqldump() { true; };", "tests",
         f"docker-compose {PACKAGES['tests']}"),
        ("environment_is_current() { true; }; base_images_exist() { false; }; "
         "engine_answers() { true; }; docker() { true; }; mysqldump() { true; }; "
         "is_ubuntu() { true; };", "tests",
         "debootstrap openssh-client procps iproute2 debian-archive-keyring openssh-server socat"),
        ("has_browser() { true; }; has_sshd() { true; }; socat() { true; };", "tests",
         f"{PACKAGES['environment']} {PACKAGES['lab']}"),
    ],
)  # fmt: skip
def test_what_is_there_is_not_asked_for(
    stand_ins: str, part: str, left: str, tmp_path: Path
) -> None:
    assert find_missing(part, tmp_path, stand_ins) == left.split()


def test_a_server_for_tests_is_not_started_but_others_are(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    asked = "".join(f"'{policy}' {name} start; echo $?; " for name in ("ssh", "ssh.service"))
    done = bash(
        f". {SETUP}/requirements.sh; (set +e; keep_sshd_down '{policy}'; {asked}"
        f"'{policy}' docker start; echo $?)"
    )
    assert done.stdout.split() == ["101", "101", "0"]
    assert not policy.exists()


def test_a_policy_of_the_machines_own_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("own")
    assert bash(f". {SETUP}/requirements.sh; (keep_sshd_down '{policy}')").returncode == 0
    assert policy.read_text() == "own"


@pytest.mark.parametrize(
    ("missing", "debian", "user", "message"),
    [
        ("gcc docker.io", "true", "1000", "'apt-get install gcc docker.io', let this user reach"),
        ("gcc", "true", "1000", "'apt-get install gcc', and run this again"),
        ("gcc docker.io", "false", "0", "this host lacks (Debian's names): gcc docker.io"),
    ],
)
def test_what_cannot_be_installed_is_listed(
    missing: str, debian: str, user: str, message: str
) -> None:
    done = bash(
        f". {SETUP}/console.sh; . {SETUP}/requirements.sh; missing=' {missing}'; "
        f"is_debian() {{ {debian}; }}; id() {{ echo {user}; }}; "
        "apt-get() { echo RAN; }; install_missing"
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "RAN" not in done.stdout


@pytest.mark.parametrize(
    ("programs", "ubuntu", "found"),
    [
        (["chromium"], "false", []),
        (["google-chrome"], "false", []),
        ([], "true", []),
        ([], "false", ["chromium", "fonts-liberation"]),
    ],
)
def test_a_browser_is_missing_only_if_there_is_none_and_debian_has_one(
    tmp_path: Path, programs: list[str], ubuntu: str, found: list[str]
) -> None:
    for name in programs:
        (tmp_path / name).touch(0o755)
    there = ("environment_is_current", "engine_answers", "base_images_exist", "docker", "mysqldump")
    stand_ins = "".join(f"{name}() {{ true; }}; " for name in (*there, "has_sshd", "socat"))
    stand_ins += f"is_ubuntu() {{ {ubuntu}; }};"
    assert find_missing("tests", tmp_path, stand_ins) == found


@pytest.fixture
def set_up(tmp_path: Path) -> Path:
    """Return a project with everything made, and programs that note how they are called."""
    project, programs = tmp_path / "project", tmp_path / "bin"
    shutil.copytree(paths.SOURCES / "setup", project / "lab/setup")
    shutil.copy(paths.SOURCES / "setup.sh", project / "lab/setup.sh")
    base = project / "machine/images/base/make.sh"
    base.parent.mkdir(parents=True)
    base.write_text("exit 1\n")
    pins = b"uv==1\n"
    for name in ("requirements.txt", "requirements-dev.txt"):
        (project / name).write_bytes(pins)
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").touch(0o755)
    (project / ".venv/.requirements.sha256").write_text(hashlib.sha256(2 * pins).hexdigest())
    programs.mkdir()
    inputs = hashlib.sha256(base.read_bytes()).hexdigest()[:16]
    for name in ("docker", "docker-compose", "mariadb-dump", "chromium", "apt-get"):
        (programs / name).write_text(
            f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\n'
            f'[ "$1" != image ] || printf "%s\\n" {inputs} {inputs}\n'
        )
        (programs / name).chmod(0o755)
    return project


def run_setup(project: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Return how lab/setup.sh ended, and which of the noting programs it called."""
    path = f"{project.parent}/bin:{os.environ['PATH']}"
    done = bash(f"{project}/lab/setup.sh {' '.join(arguments)}", PATH=path)
    calls = project.parent / "calls"
    return done, calls.read_text() if calls.exists() else ""


def test_the_environment_alone_needs_no_engine_and_says_nothing(set_up: Path) -> None:
    done, calls = run_setup(set_up, "environment")
    assert (done.returncode, done.stdout, done.stderr, calls) == (0, "", "", "")


@pytest.mark.parametrize("part", ["lab", "tests", ""])
def test_the_other_parts_ask_the_engine_and_install_nothing(set_up: Path, part: str) -> None:
    done, calls = run_setup(set_up, part)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\[ *[\d.]+ s\] set up\n", done.stdout)
    assert "docker version" in calls
    assert "apt-get" not in calls


def test_what_was_made_of_other_requirements_is_no_environment(set_up: Path) -> None:
    (set_up / "requirements.txt").write_text("uv==2\n")
    done = bash(f"cd {set_up}; venv=$PWD/.venv; . lab/setup/environment.sh; environment_is_current")
    assert done.returncode == 1


def test_a_part_that_does_not_exist_is_refused(set_up: Path) -> None:
    done, _calls = run_setup(set_up, "test")
    assert done.returncode == 1
    assert "no part 'test': environment, lab or tests" in done.stderr


def makes(target: str, *variables: str) -> str:
    return subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target, *variables],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={name: text for name, text in os.environ.items() if not name.startswith("MAKE")},
    ).stdout


@pytest.mark.parametrize("part", TARGETS)
def test_a_target_asks_for_no_more_than_its_part(part: str) -> None:
    for target in TARGETS[part].split():
        asked = re.findall(r"^lab/setup\.sh (\w+)", makes(target), re.MULTILINE)
        # The largest part comes first, so that all that is missing is named at once.
        assert (asked or [""])[0] == part, target
        assert max(map([*TARGETS].index, asked), default=0) <= [*TARGETS].index(part), target


def test_every_target_is_of_a_part() -> None:
    listed = re.findall(r"^([a-z-]+):.*## ", (paths.ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(" ".join(TARGETS.values()).split())


def test_another_interpreter_is_not_set_up() -> None:
    assert "setup.sh" not in makes("sudoers", "python=/usr/bin/python3")


def test_activate_sets_what_the_lab_itself_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = tmp_path / ".venv/bin"
    binaries.mkdir(parents=True)
    (binaries / "activate").write_text(f'PATH="{binaries}:$PATH"\n')
    for name in ("python", "airflow"):
        (binaries / name).write_text('#!/bin/sh\necho migrated >> "$AIRFLOW_HOME/airflow.db"\n')
        (binaries / name).chmod(0o755)
    (tmp_path / "lab").mkdir()
    shutil.copy(paths.SOURCES / "activate", tmp_path / "lab/activate")
    done = bash(f"cd /; set +u; for n in 1 2; do . {tmp_path}/lab/activate; done; env", PATH="/bin")
    assert done.returncode == 0, done.stderr
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "STATE", tmp_path / ".lab")
    monkeypatch.setattr(paths, "CONNECTIONS", tmp_path / ".lab/connections.yaml")
    inherited = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    wanted = airflow.environment(tmp_path / ".lab/airflow", inherited)
    names = [name for name in wanted if name not in ("PATH",)]
    assert {name: seen.get(name) for name in names} == {name: wanted[name] for name in names}
    assert (tmp_path / ".lab/airflow/airflow.db").read_text() == "migrated\n"
