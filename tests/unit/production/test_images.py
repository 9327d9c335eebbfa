"""What the images of Airflow's containers are made of, as far as no engine is needed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from machine.errors import CommandError
from machine.progress import Report
from production import images, paths

SCRIPTS = sorted(paths.IMAGES.glob("*/*.sh"))
INDEX = "https://user:it's@index.example.org/simple"


def test_there_are_scripts() -> None:
    assert {path.parent.name for path in SCRIPTS} == {"airflow", "postgres", "redis"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.parent.name)
def test_every_script_is_one(script: Path) -> None:
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_service_without_its_secret_says_so(name: str) -> None:
    """Run on a machine where nothing is mounted, which is how it is found out."""
    done = subprocess.run(
        ["bash", paths.IMAGES / name / "entrypoint.sh"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"/run/secrets/{name}_password is missing or empty" in done.stderr


def test_everything_is_pinned_once() -> None:
    pinned: dict[str, str] = {}
    for file in paths.REQUIREMENTS:
        for line in file.read_text().splitlines():
            name, version = re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups()  # type: ignore[union-attr]
            key = re.sub(r"[_.]", "-", name).lower()
            assert key not in pinned, f"{name} is in both files"
            pinned[key] = version
    assert {"apache-airflow", "apache-airflow-providers-celery", "psycopg", "redis"} <= set(pinned)
    # Airflow takes the driver that is there for the one that is used.
    assert not {"psycopg2", "psycopg2-binary"} & set(pinned)


def test_the_index_goes_in_as_a_shell_reads_it() -> None:
    text = images._assignments({"PIP_INDEX_URL": "https://u:p$w@index.example.org/simple?a=1&b"})
    done = subprocess.run(
        ["bash", "-c", f'{text}\nprintf %s "$PIP_INDEX_URL"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "https://u:p$w@index.example.org/simple?a=1&b"


def test_what_a_shell_would_run_is_refused_without_naming_it() -> None:
    with pytest.raises(CommandError, match="PIP_INDEX_URL has a quotation mark") as caught:
        images._assignments({"PIP_INDEX_URL": INDEX})
    assert "it's" not in str(caught.value)


def test_what_is_handed_to_the_installer_is_its_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example.org/simple")
    folder = tmp_path / "build"
    images._write_build_folder(folder)
    assert folder.stat().st_mode & 0o077 == 0
    assert {path.name for path in folder.iterdir()} == {
        "project.txt", "production.txt", "uv.txt", "install.sh", "index",
    }  # fmt: skip
    read = set(re.findall(r"/requirements/([\w.]+)", images.INSTALLER.read_text()))
    assert read - {"index"} <= {path.name for path in folder.iterdir()}
    assert "PIP_INDEX_URL='https://index.example.org/simple'" in (folder / "index").read_text()


def test_what_is_mounted_for_the_installation_is_no_volume_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine commits `volumes` with the container, and then nothing starts from the image."""
    given: dict[str, object] = {}

    class Container:
        def commit(self, repository: str, tag: str, changes: list[str]) -> None:
            given["committed"] = f"{repository}:{tag}"

        def remove(self, force: bool) -> None:
            given["removed"] = force

    def run_once(client: object, image: str, note: object, **options: object) -> Container:
        given.update(options)
        return Container()

    monkeypatch.setattr(images.engine, "run_once", run_once)
    monkeypatch.setattr(images.engine, "image_inputs", lambda client, name: "")
    monkeypatch.setattr(images, "copy_ca_bundle", lambda: None)
    monkeypatch.setattr(paths, "STATE", tmp_path)
    with Report() as report:
        images._ensure_airflow(None, report)  # type: ignore[arg-type]
    assert (given["committed"], given["removed"]) == ("keystone-rollout/airflow:latest", True)
    assert "volumes" not in given
    mounted = {mount["Target"]: mount["ReadOnly"] for mount in given["mounts"]}  # type: ignore[attr-defined]
    assert mounted == {"/requirements": True, "/etc/ssl/certs/ca-certificates.crt": True}
