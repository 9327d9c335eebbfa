"""A dump of production is read before anything is touched, and from one folder alone."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import pytest
from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.recovery.dump import DumpRefused
from keystone_rollout.hooks.database.client import DatabaseClient
from keystone_rollout.hooks.database.loader import BackupLoad
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.procedures.rehearsal.production_dump import ProductionDump
from tests.stand_ins.systems import run_with

GOOD = (
    b"-- MariaDB dump 10.19  Distrib 10.11\n--\n-- Host: db    Database: keystone\n"
    b"INSERT INTO `user` VALUES (1);\n-- Dump completed on 2026-03-01 10:00:00\n"
)


KEY = b"J1xQ0mS8n2vQyWl3rT5zB7dF9gH4kP6sX8cV0bN2mA4="


def dump(folder: Path | None, name: str, declared: str | None = None) -> ProductionDump:
    """Return a dump that a run names in a cloud whose file names this folder."""
    cloud = load_cloud("lab")
    assert cloud.rehearsal is not None
    places = {"dump_directory": folder and str(folder), "dump": declared}
    rehearsal = cloud.rehearsal.model_copy(update=places)
    cloud = cloud.model_copy(update={"rehearsal": rehearsal})
    return ProductionDump(run_with(cloud, Path(tempfile.mkdtemp())), name)


def judged(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(dump(path.parent, path.name).judge())


def test_a_whole_dump_is_taken_plain_or_gzipped(tmp_path: Path) -> None:
    for name, content in (("p.sql", GOOD), ("p.sql.gz", gzip.compress(GOOD))):
        assert judged(tmp_path / name, content).startswith("ok dump of production")


@pytest.mark.parametrize(
    ("name", "content", "measured"),
    [
        ("p.sql", GOOD[:100], "its last line is not"),
        (
            "p.sql",
            GOOD.replace(b"Database: keystone", b"Database: nova"),
            "dump of another schema",
        ),
        ("p.sql", GOOD.replace(b"INSERT", b"USE mysql;\nINSERT"), "leaves the schema"),
        ("p.sql.gz", gzip.compress(GOOD)[:-20], "not readable"),
        ("p.sql.gz", GOOD, "not readable"),
        ("p.sql.gz", gzip.compress(GOOD)[:40] + b"\xff" * 40, "not readable"),
    ],
    ids=["cut off", "another schema", "leaves", "torn", "not packed", "damaged"],
)
def test_a_dump_that_is_not_whole_is_refused(
    tmp_path: Path, name: str, content: bytes, measured: str
) -> None:
    verdict = judged(tmp_path / name, content)
    assert verdict.startswith("FAILED dump of production")
    assert measured in verdict
    assert "it was not loaded; staging holds the data that reset left" in verdict


def test_a_dump_that_is_not_there_is_named(tmp_path: Path) -> None:
    verdict = str(dump(tmp_path, "no.sql").judge())
    assert verdict.startswith(
        f"FAILED dump of production ({tmp_path / 'no.sql'}): measured not readable: No such file"
    )
    (tmp_path / "folder.sql").mkdir()
    assert "not readable: it is no file" in str(dump(tmp_path, "folder.sql").judge())


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return a file that Airflow's account can read, and that is nobody's dump."""
    (tmp_path / "dumps" / "deep").mkdir(parents=True)
    (tmp_path / "dumps" / "p.sql").write_bytes(GOOD)
    (tmp_path / "dumps-of-others").mkdir()
    (tmp_path / "dumps-of-others" / "p.sql").write_bytes(GOOD)
    path = tmp_path / "key"
    path.write_bytes(KEY)
    (tmp_path / "dumps" / "link.sql").symlink_to(path)
    (tmp_path / "dumps" / "all").symlink_to(tmp_path)
    (tmp_path / "dumps" / "loop").symlink_to("loop")
    return path


@pytest.mark.parametrize("name", [
    "{key}", "../key", "deep/../../key", "link.sql", "all/key", "../dumps-of-others/p.sql", "loop",
    "{folder}/../key", "nul\0.sql", "..",
])  # fmt: skip
def test_a_file_outside_the_folder_is_refused_before_it_is_opened(
    key: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = key.parent / "dumps"
    named = dump(folder, name.format(key=key, folder=folder))
    with monkeypatch.context() as forbidden:
        forbidden.setattr(Path, "open", None)
        forbidden.setattr("builtins.open", None)
        verdict = str(named.judge())
    assert f"measured outside {folder}, limit a file in {folder} (rehearsal.dump_dir" in verdict
    assert "it was not opened, and nothing of it was loaded. Next: put it there" in verdict
    with pytest.raises(DumpRefused):
        named.load(lambda verdicts: None)


@pytest.mark.parametrize("name", ["p.sql", "{folder}/p.sql", "deep/../p.sql", "all/dumps/p.sql"])
def test_a_file_in_the_folder_may_be_named_in_any_way(key: Path, name: str) -> None:
    folder = key.parent / "dumps"
    named = dump(folder, name.format(folder=folder))
    assert named.judge().ok
    assert named.path == folder / "p.sql"


def test_without_a_folder_only_the_cloud_files_own_dump_is_read(key: Path) -> None:
    own = str(key.parent / "dumps" / "p.sql")
    assert dump(None, own, declared=own).judge().ok
    for refused in (dump(None, own), dump(None, str(key), declared=own)):
        verdict = str(refused.judge())
        assert "measured not the dump that the cloud file names, limit rehearsal.dump" in verdict
        assert "Next: name a folder with dumps in rehearsal.dump_directory" in verdict


@pytest.mark.parametrize("name", ["key.sql", "key.sql.gz"])
@pytest.mark.parametrize("content", [KEY, b"-- MariaDB dump \n" + KEY, GOOD + KEY])
def test_nothing_of_a_file_is_shown(tmp_path: Path, name: str, content: bytes) -> None:
    verdict = judged(tmp_path / name, content)
    assert verdict.startswith("FAILED")
    key = KEY.decode()
    assert not any(key[at : at + 4] in verdict for at in range(len(key) - 3))


def test_a_packed_dump_is_loaded_from_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []
    monkeypatch.setattr(MySqlHook, "run", lambda self, sql, **_: done.append(sql))
    monkeypatch.setattr(MySqlHook, "get_first", lambda self, *_: ("utf8mb3", "utf8mb3_bin"))
    monkeypatch.setattr(
        DatabaseClient, "load", lambda self, schema, stream: done.append((schema, stream.read()))
    )
    path = tmp_path / "p.sql.gz"
    path.write_bytes(gzip.compress(GOOD))
    with pytest.raises(KeyError), BackupLoad(load_cloud("lab")).meanwhile(path):
        raise KeyError
    drop = "DROP DATABASE IF EXISTS `keystone_rollout_scratch`"
    assert (done[0], done[-1]) == (drop, drop)
    assert ("keystone_rollout_scratch", GOOD) in done
    assert list(tmp_path.iterdir()) == [path], "no plain copy beside it"
