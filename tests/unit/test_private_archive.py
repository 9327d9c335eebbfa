"""A private build's archive differs from the released one in its version, and in nothing else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests.private_archive import repack

FILES = {
    "PKG-INFO": "Metadata-Version: 1.1\nName: keystone\nVersion: 13.0.4\nSummary: Version: all\n",
    "keystone.egg-info/PKG-INFO": "Name: keystone\nVersion: 13.0.4\n",
    "setup.cfg": "[metadata]\nname = keystone\nVersion: 13.0.4\n",
}


def archive(folder: Path, root: str, files: dict[str, str]) -> Path:
    """Write a source archive with one executable and *files*."""
    path = folder / "given.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {**files, "setup.py": "#!/usr/bin/env python\n"}.items():
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size, member.mode = len(text), 0o755 if name == "setup.py" else 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def content(path: Path) -> dict[str, tuple[int, str]]:
    with tarfile.open(path) as tar:
        found = {}
        for member in tar.getmembers():
            file = tar.extractfile(member)
            assert file is not None
            found[member.name] = (member.mode, file.read().decode())
        return found


def test_name_folder_and_metadata_say_the_new_version(tmp_path: Path) -> None:
    given = archive(tmp_path, "keystone-13.0.4", FILES)
    made = repack(given, "13.0.90", tmp_path / "dist")
    assert made == tmp_path / "dist" / "keystone-13.0.90.tar.gz"
    found = content(made)
    assert found["keystone-13.0.90/PKG-INFO"][1] == (
        "Metadata-Version: 1.1\nName: keystone\nVersion: 13.0.90\nSummary: Version: all\n"
    )
    assert found["keystone-13.0.90/keystone.egg-info/PKG-INFO"][1].endswith("Version: 13.0.90\n")
    assert found["keystone-13.0.90/setup.cfg"] == (0o644, FILES["setup.cfg"])
    assert found["keystone-13.0.90/setup.py"] == (0o755, "#!/usr/bin/env python\n")
    assert len(found) == 4


def test_what_is_no_source_archive_is_refused(tmp_path: Path) -> None:
    given = archive(tmp_path, "keystone-13.0.4", {"setup.cfg": ""})
    with pytest.raises(ValueError, match="is no source archive: it holds keystone-13"):
        repack(given, "13.0.90", tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_a_path_too_long_for_a_plain_header_gets_the_new_name_too(tmp_path: Path) -> None:
    long = "/".join(["keystone", *["some-directory"] * 8, "module.py"])
    given = archive(tmp_path, "keystone-25.0.0", {**FILES, long: "x = 1\n"})
    made = repack(given, "25.0.90", tmp_path / "dist")
    assert {name.split("/")[0] for name in content(made)} == {"keystone-25.0.90"}
    assert f"keystone-25.0.90/{long}" in content(made)
