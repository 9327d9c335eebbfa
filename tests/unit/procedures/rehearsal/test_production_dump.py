"""A dump of production is read before anything is touched, plain or gzipped."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.places.exchange import chunks
from keystone_rollout.procedures.rehearsal.production_dump import ProductionDump

GOOD = (
    b"-- MariaDB dump 10.19  Distrib 10.11\n--\n-- Host: db    Database: keystone\n"
    b"INSERT INTO `user` VALUES (1);\n-- Dump completed on 2026-03-01 10:00:00\n"
)


def judged(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(ProductionDump(load_cloud("lab"), str(path)).judge())


def test_a_whole_dump_is_taken_plain_or_gzipped(tmp_path: Path) -> None:
    for name, content in (("p.sql", GOOD), ("p.sql.gz", gzip.compress(GOOD))):
        assert judged(tmp_path / name, content).startswith("ok dump of production")


@pytest.mark.parametrize(
    ("name", "content", "measured"),
    [
        ("p.sql", GOOD[:100], "it ends with"),
        ("p.sql", GOOD.replace(b"Database: keystone", b"Database: nova"), "it is a dump of nova"),
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
    verdict = str(ProductionDump(load_cloud("lab"), str(tmp_path / "no.sql")).judge())
    assert f"FAILED dump of production ({tmp_path / 'no.sql'}): measured not readable" in verdict


@pytest.mark.parametrize("name", ["p.sql", "p.sql.gz"])
def test_a_dump_is_unpacked_on_its_way_and_never_onto_a_disk(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(GOOD) if name.endswith("gz") else GOOD)
    with ProductionDump(load_cloud("lab"), str(tmp_path / name))._open() as stream:
        assert b"".join(chunks(stream)) == GOOD
    assert [path.name for path in tmp_path.iterdir()] == [name]
