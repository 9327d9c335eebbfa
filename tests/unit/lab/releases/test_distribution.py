"""Keystone from a folder instead of PyPI: what is taken from it, and what is refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from lab.releases import distribution
from lab.releases.builds import Build, find_release
from machine.errors import CommandError


def build(name: str) -> Build:
    return Build(find_release(name), "2.7", "bullseye")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(distribution.VARIABLE, str(tmp_path))
    return tmp_path


def archive(folder: Path, version: str, *names: str) -> Path:
    path = folder / f"keystone-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in ("PKG-INFO", *names):
            tar.addfile(tarfile.TarInfo(f"keystone-{version}/{name}"), io.BytesIO())
    return path


def wheel(folder: Path, version: str, *names: str, tag: str = "py2.py3") -> Path:
    path = folder / f"keystone-{version}-{tag}-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("keystone/__init__.py", *names):
            file.writestr(name, "")
    return path


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_folder_everything_comes_from_pypi(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(distribution.VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(distribution.VARIABLE, value)
    assert distribution.find(build("pike")) is None


def test_only_the_releases_that_it_holds_are_taken_from_the_folder(folder: Path) -> None:
    path = archive(folder, "12.0.3", "etc/keystone-paste.ini")
    found = distribution.find(build("pike"))
    assert found is not None
    assert found.file == path
    assert distribution.find(build("queens")) is None
    assert distribution.find(build("12.0.30")) is None


def test_an_archive_goes_before_a_wheel(folder: Path) -> None:
    wheel(folder, "12.0.3")
    wheel(folder, "12.0.3", tag="py2")
    path = archive(folder, "12.0.3", "etc/keystone-paste.ini")
    found = distribution.find(build("pike"))
    assert found is not None
    assert found.file == path


def test_two_wheels_of_one_release_are_refused(folder: Path) -> None:
    wheel(folder, "15.0.1")
    wheel(folder, "15.0.1", tag="py3")
    with pytest.raises(
        CommandError, match=r"allowed is one wheel of 15\.0\.1\. Nothing was changed"
    ):
        distribution.find(build("stein"))


def test_a_wheel_that_has_its_files_is_taken(folder: Path) -> None:
    path = wheel(folder, "13.0.4", "keystone-13.0.4.data/data/etc/keystone/keystone-paste.ini")
    found = distribution.find(build("queens"))
    assert found is not None
    assert found.file == path


def test_a_wheel_without_its_files_is_refused_before_anything_is_made(folder: Path) -> None:
    path = wheel(folder, "10.0.3")
    with pytest.raises(CommandError) as caught:
        distribution.find(build("newton"))
    assert str(caught.value) == (
        f"{path} lacks keystone-paste.ini and policy.json, without which keystone 10.0.3 does not "
        "start. Nothing was changed. Next: put the source archive keystone-10.0.3.tar.gz beside "
        f"it, or its keystone-paste.ini and policy.json into {folder / 'keystone-10.0.3'}"
    )


def test_files_beside_a_wheel_are_taken_with_it(folder: Path) -> None:
    wheel(folder, "12.0.3")
    (folder / "keystone-12.0.3").mkdir()
    paste = folder / "keystone-12.0.3" / "keystone-paste.ini"
    paste.write_text("[pipeline:api_v3]\n")
    found = distribution.find(build("pike"))
    assert found is not None
    assert found.configuration == (paste,)
    before = found.digest()
    paste.write_text("[pipeline:other]\n")
    assert found.digest() != before


def test_a_changed_archive_has_another_hash(folder: Path) -> None:
    archive(folder, "12.0.3", "etc/keystone-paste.ini")
    first = distribution.find(build("pike"))
    assert first is not None
    before = first.digest()
    archive(folder, "12.0.3", "etc/keystone-paste.ini", "keystone/patched.py")
    second = distribution.find(build("pike"))
    assert second == first
    assert second is not None
    assert second.digest() != before


def test_a_folder_that_does_not_exist_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(distribution.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(
        CommandError, match=r"KEYSTONE_DIST is '.*/gone', and there is no such folder"
    ):
        distribution.find(build("pike"))


def test_an_archive_that_is_damaged_is_named(folder: Path) -> None:
    (folder / "keystone-12.0.3.tar.gz").write_bytes(b"half a dow")
    with pytest.raises(
        CommandError, match=r"keystone-12\.0\.3\.tar\.gz cannot be read: .*Nothing was"
    ):
        distribution.find(build("pike"))
