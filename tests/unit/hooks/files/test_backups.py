"""The newest backup is not the right one if the old release never served from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_rollout.domain.node.release_report import NodeReport
from keystone_rollout.domain.recovery.backup import BackupFacts
from keystone_rollout.hooks.files.backups import BackupNotUsable, BackupStore
from keystone_rollout.hooks.files.cloud_file import load_cloud
from tests.stand_ins.record_example import running

BEFORE = {"keystone-1": running("12.0.3"), "keystone-2": running("12.0.3")}
MIXED = {"keystone-1": running("13.0.4"), "keystone-2": running("12.0.3")}
AFTER = {"keystone-1": running("13.0.4"), "keystone-2": running("13.0.4")}
COMPLETE = "-- MariaDB dump 10\n-- Host: h    Database: keystone\n-- Dump completed\n"


@pytest.fixture
def store(tmp_path: Path) -> BackupStore:
    cloud = load_cloud("lab")
    return BackupStore(cloud.model_copy(update={"backup_directory": str(tmp_path)}))


def add(store: BackupStore, name: str, taken: float, nodes: dict[str, NodeReport]) -> Path:
    path = store.folder / f"{name}.sql"
    path.write_text(COMPLETE)
    store.describe(path, BackupFacts("lab", "keystone", taken, nodes))
    return path


def refusal(store: BackupStore, name: str = "") -> str:
    with pytest.raises(BackupNotUsable) as caught:
        store.find(name, "12.0.3")
    return str(caught.value)


def test_the_newest_one_that_the_release_served_from_is_found(store: BackupStore) -> None:
    add(store, "c-first", 100, BEFORE)
    second = add(store, "b-second", 200, MIXED)
    add(store, "a-after-contract", 300, AFTER)
    assert store.find("", "12.0.3") == second
    assert store.facts(second) == BackupFacts("lab", "keystone", 200, MIXED)


def test_a_named_one_is_taken_if_the_release_served_from_it(store: BackupStore) -> None:
    first = add(store, "first", 100, BEFORE)
    add(store, "second", 200, BEFORE)
    assert store.find("first.sql", "12.0.3") == first
    add(store, "after", 300, AFTER)
    assert refusal(store, "after.sql") == (
        "after.sql was taken while the nodes were at 13.0.4 running: none served 12.0.3 from it"
    )


@pytest.mark.parametrize("name", ["other.sql", "../first.sql", "first.json", "/etc/passwd"])
def test_a_name_that_is_no_backup_is_refused_with_those_there_are(
    store: BackupStore, name: str
) -> None:
    add(store, "first", 100, BEFORE)
    assert refusal(store, name) == f"{name!r} is not a backup in {store.folder}: first.sql"


def test_where_none_is_usable_each_one_has_its_reason(store: BackupStore) -> None:
    assert refusal(store).endswith("brings 12.0.3 back: there is none")
    add(store, "after", 300, AFTER)
    stranger = add(store, "of-another-cloud", 300, BEFORE)
    store.describe(stranger, BackupFacts("other", "keystone", 1, BEFORE))
    (store.folder / "own.sql").write_text(COMPLETE)
    message = refusal(store)
    assert "after.sql was taken while the nodes were at 13.0.4 running" in message
    assert (
        "of-another-cloud.sql is of schema keystone of cloud other, expected schema keystone of "
        "cloud lab"
    ) in message
    assert "own.sql was never verified by an upgrade: own.json says nothing about it" in message


def test_a_damaged_description_is_refused_and_not_quoted(store: BackupStore) -> None:
    path = add(store, "first", 100, BEFORE)
    for content in ('{"cloud": "s3cret"}', '"s3cret"', '{"cloud": "lab", "schema": "keystone",'
                    ' "taken": "s3cret", "nodes": {}}', "s3cret"):  # fmt: skip
        path.with_suffix(".json").write_text(content)
        message = refusal(store, "first.sql")
        assert "first.json says nothing about it (" in message
        assert "s3cret" not in message


@pytest.mark.parametrize("name", ["../other.sql", "/etc/passwd", "link.sql", "sub/own.sql"])
def test_a_backup_is_a_file_in_the_folder_itself(
    store: BackupStore, tmp_path: Path, name: str
) -> None:
    outside = store.folder.parent / "other.sql"
    outside.write_text("s3cret")
    (store.folder / "link.sql").symlink_to(outside)
    (store.folder / "link.json").write_text("{}")
    assert f"{name!r} is not a backup in" in refusal(store, name)


def test_a_verified_backup_is_never_overwritten(store: BackupStore) -> None:
    assert store.free_name("run") == "run"
    (store.folder / "run.sql").write_text("it was never verified")
    assert store.free_name("run") == "run"
    add(store, "run", 100, BEFORE)
    assert store.free_name("run") == "run-2"
    add(store, "run-2", 200, BEFORE)
    assert store.free_name("run") == "run-3"


def test_a_description_is_for_its_owner_alone(store: BackupStore) -> None:
    path = add(store, "first", 100, BEFORE)
    assert path.with_suffix(".json").stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in store.folder.iterdir()) == ["first.json", "first.sql"]


def test_a_backup_is_judged_by_its_lines(store: BackupStore) -> None:
    path = add(store, "first", 100, BEFORE)
    verdict = store.judge(path)
    assert (verdict.ok, verdict.measured) == (True, f"complete, {len(COMPLETE)} bytes")
    path.write_text(COMPLETE.replace("-- Dump completed\n", ""))
    assert str(store.judge(path)) == (
        "FAILED backup file (first.sql): measured its last line is not "
        "'-- Dump completed', as a complete dump's, limit one schema, complete, readable. "
        "Consequence: nothing was touched. Next: name another backup of this cloud with param "
        "backup"
    )
    path.unlink()
    assert store.judge(path).measured.startswith("not readable: ")


def test_a_description_of_0_1_0_stays_readable(store: BackupStore) -> None:
    """It has in words what each node ran; this is one as it was written then."""
    path = store.folder / "manual__2026-11-20T01_00_00_00_00.sql"
    path.write_text(COMPLETE)
    path.with_suffix(".json").write_text(
        '{"cloud": "lab", "nodes": {"keystone-1": "13.0.4 running", '
        '"keystone-2": "12.0.3 running", "keystone-3": "12.0.3 installed, service stopped"}, '
        '"schema": "keystone", "taken": 1795222800.0}'
    )
    assert store.find("", "12.0.3") == path
    facts = store.facts(path)
    assert facts.served_by("13.0.4")
    assert not facts.served_by("14.2.0")
    path.with_suffix(".json").write_text(
        '{"cloud": "lab", "nodes": {"keystone-1": "12.0.3 installed, service stopped"}, '
        '"schema": "keystone", "taken": 1795222800.0}'
    )
    assert "none served 12.0.3 from it" in refusal(store)


def test_a_description_of_0_2_0_stays_readable(store: BackupStore) -> None:
    """It has each node's report; this is one as it was written then."""
    path = store.folder / "manual__2026-11-20T01_00_00_00_00.sql"
    path.write_text(COMPLETE)
    path.with_suffix(".json").write_text(
        '{"cloud": "lab", "nodes": {"keystone-1": {"problem": "", "release": {"installed": '
        '"12.0.3", "running": true, "stale": false}}, "keystone-2": {"problem": "no route", '
        '"release": null}}, "schema": "keystone", "taken": 1795222800.0}'
    )
    assert store.find("", "12.0.3") == path
    nodes = {"keystone-1": running("12.0.3"), "keystone-2": NodeReport(None, "no route")}
    assert store.facts(path) == BackupFacts("lab", "keystone", 1795222800.0, nodes)
