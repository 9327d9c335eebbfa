"""What a phase adds to the configuration: a private file in the container, and its options."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from docker.errors import DockerException

from keystone_rollout.domain.cloud.model import Cloud, cloud_from_data
from keystone_rollout.domain.schema.target import PhaseTarget, live_target
from keystone_rollout.hooks.docker.container import DeliveringClient
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.keystone_configuration import (
    PhaseConfigurationError,
    phase_configuration,
)

URL = "mysql+pymysql://keystone:s3cret@database/keystone"
OWN = ["--config-dir", "/etc/keystone-rollout.d"]


def cloud(folder: Path, **container: Any) -> Cloud:
    data = load_cloud("lab").model_dump(by_alias=True)
    data["upgrade_container"].update(configuration=str(folder), **container)
    data["limits"]["lock_wait_timeout"] = 4
    return cloud_from_data(data)


def write(path: Path, connection: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"[database]\nconnection = {connection}\n")
    path.chmod(mode)
    return path


def delivered(archive: bytes) -> tuple[tarfile.TarInfo, str]:
    """Return the one file of an archive, and its text."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as content:
        folder, file = content.getmembers()
        assert (folder.name, folder.isdir(), folder.mode) == ("keystone-rollout.d", True, 0o755)
        assert file.name == "keystone-rollout.d/lock_wait.conf"
        reader = content.extractfile(file)
        assert reader is not None
        return file, reader.read().decode()


def test_the_file_holds_the_limited_connection_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "keystone.conf", URL)
    found = phase_configuration(cloud(tmp_path))
    assert found.arguments == OWN
    assert delivered(found.archive)[1] == (
        f"[database]\nconnection = {URL}?init_command=SET+SESSION+lock_wait_timeout=4\n"
    )
    assert str(found) == (
        "migrations wait at most 4 s for a metadata lock (limits.lock_wait_timeout)"
    )
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(("mode", "readable"), [(0o600, 0o400), (0o640, 0o440), (0o644, 0o444)])
def test_who_may_read_keystone_conf_may_read_it_and_nobody_else(
    tmp_path: Path, mode: int, readable: int
) -> None:
    source = write(tmp_path / "keystone.conf", URL, mode)
    if os.geteuid() == 0:
        os.chown(source, 42425, 42400)
    file, _text = delivered(phase_configuration(cloud(tmp_path)).archive)
    status = source.stat()
    assert (file.mode, file.uid, file.gid) == (readable, status.st_uid, status.st_gid)


def test_files_in_keystone_conf_d_come_later_and_stay_in_use(tmp_path: Path) -> None:
    write(tmp_path / "keystone.conf", "mysql://first@a/k", 0o644)
    write(tmp_path / "keystone.conf.d" / "10.conf", "mysql://second@a/k")
    (tmp_path / "keystone.conf.d" / "20.conf").write_text("[cache]\nenabled = true\n")
    write(tmp_path / "keystone.conf.d" / ".30.conf", "mysql://hidden@a/k")
    write(tmp_path / "keystone.conf.d" / "40.conf.bak", "mysql://backup@a/k")
    found = phase_configuration(cloud(tmp_path))
    assert found.arguments == ["--config-dir", "/etc/keystone/keystone.conf.d", *OWN]
    file, text = delivered(found.archive)
    assert "mysql://second@a/k?init_command" in text
    assert file.mode == 0o400


def test_a_limit_of_the_operator_is_left_alone_and_said(tmp_path: Path) -> None:
    write(tmp_path / "keystone.conf", f"{URL}?init_command=SET+lock_wait_timeout=30")
    found = phase_configuration(cloud(tmp_path))
    assert found.lock_wait_timeout == 30
    assert str(found) == (
        "migrations wait at most 30 s for a metadata lock (as [database] connection says itself)"
    )


def refusal(broken: Cloud) -> str:
    with pytest.raises(PhaseConfigurationError) as caught:
        phase_configuration(broken)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_a_configuration_without_connection_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keystone.conf").write_text("[database]\nmax_pool_size = 10\n")
    assert refusal(cloud(tmp_path)) == (
        f"{tmp_path}/keystone.conf has no option `connection` in section [database], which names "
        "the database to migrate. Next: add it there"
    )


def test_a_connection_that_cannot_be_limited_is_refused_with_its_file(tmp_path: Path) -> None:
    write(tmp_path / "keystone.conf", "postgresql://keystone:s3cret@database/keystone")
    text = refusal(cloud(tmp_path))
    assert text.startswith(f"[database] connection in {tmp_path}/keystone.conf: read driver post")
    assert text.endswith("and every client behind it. Next: correct it there")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert refusal(cloud(tmp_path)).startswith(
        f"{tmp_path}/keystone.conf cannot be read (No such file or directory), but it has to be"
    )
    write(tmp_path / "keystone.conf", URL)
    (tmp_path / "keystone.conf.d").write_text("not a directory")
    assert "keystone.conf.d cannot be read (Not a directory)" in refusal(cloud(tmp_path))


@pytest.mark.parametrize("option", ["--config-file", "--config-dir=/etc/other"])
def test_a_command_with_files_of_its_own_is_refused(tmp_path: Path, option: str) -> None:
    write(tmp_path / "keystone.conf", URL)
    text = refusal(cloud(tmp_path, command=["keystone-manage", option, "/etc/other"]))
    assert text.startswith("upgrade_container.command names configuration files of its own")


COPY = PhaseTarget("a_copy", "copy_owner", "copy_owner", "copy_owner")
OWNER = json.dumps({"conn_type": "mysql", "host": "127.0.0.1", "port": 3307,
                    "login": "rollout", "password": "o/w@n"})  # fmt: skip


def test_a_phase_on_a_copy_reaches_that_schema_and_not_the_live_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_COPY_OWNER", OWNER)
    write(tmp_path / "keystone.conf", f"{URL}?charset=utf8")
    found = phase_configuration(cloud(tmp_path), COPY)
    assert found.arguments == OWN
    assert delivered(found.archive)[1] == (
        "[database]\nconnection = mysql+pymysql://rollout:o%2Fw%40n@database/a_copy?charset=utf8"
        "&init_command=SET+SESSION+lock_wait_timeout=4\n"
    )


def test_the_live_schema_is_reached_as_keystone_conf_says_and_no_connection_is_asked(
    tmp_path: Path,
) -> None:
    write(tmp_path / "keystone.conf", "mysql://somebody:s3cret@database/renamed")
    here = cloud(tmp_path)
    named, default = phase_configuration(here, live_target(here)), phase_configuration(here)
    assert named == default
    assert "mysql://somebody:s3cret@database/renamed?" in delivered(named.archive)[1]


def test_a_connection_that_cannot_lead_to_a_copy_is_refused_without_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_COPY_OWNER", OWNER)
    write(tmp_path / "keystone.conf", "mysql://somebody:s3cret@database")
    with pytest.raises(PhaseConfigurationError, match="read another form than") as caught:
        phase_configuration(cloud(tmp_path), COPY)
    assert "s3cret" not in str(caught.value)


class Engine:
    """Be a Docker engine as far as delivery needs one: remember what happens in which order."""

    def __init__(self, takes: bool = True) -> None:
        self.takes = takes
        self.calls: list[tuple[Any, ...]] = []

    def put_archive(self, container: str, path: str, data: bytes) -> bool:
        self.calls.append(("put", container, path, data))
        return self.takes

    def start(self, container: str) -> None:
        self.calls.append(("start", container))

    def wait(self, container: str) -> dict[str, int]:
        return {"StatusCode": 7}


def test_the_file_is_in_the_container_before_it_starts() -> None:
    engine = Engine()
    client = DeliveringClient(engine, "/etc", b"tar")
    client.start("abc")
    assert engine.calls == [("put", "abc", "/etc", b"tar"), ("start", "abc")]
    assert client.wait("abc") == {"StatusCode": 7}


def test_a_container_without_its_file_is_not_started() -> None:
    engine = Engine(takes=False)
    with pytest.raises(DockerException, match="Docker did not take the file for /etc: not started"):
        DeliveringClient(engine, "/etc", b"tar").start("abc")
    assert [call[0] for call in engine.calls] == ["put"]
