"""A cloud goes back after contract, whatever stands in the way, and wherever it was interrupted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mysql.connector
import pytest
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.hooks.database.comparison import SchemaReader
from keystone_rollout.hooks.database.loader import BackupLoad
from keystone_rollout.hooks.database.restore_history import RestoreHistory
from keystone_rollout.hooks.database.swap import SchemaSwap
from keystone_rollout.procedures.restore.checks import RestoreChecks
from operators.restore.outage import StopKeystoneOperator
from operators.restore.settle import ReturnServersOperator
from operators.restore.swap import SwapSchemasOperator
from tests.integration.restore_stage import (
    LIVE,
    LOST,
    NODES,
    OLD,
    WRITER,
    Stage,
    assert_as_before,
    lost,
    stage,
    upgraded,
)
from tests.stand_ins.systems import run_with

__all__ = ["stage", "upgraded"]

pytestmark = pytest.mark.lab


def test_a_run_beside_another_one_does_not_even_load_the_backup(upgraded: Stage) -> None:
    phrase = upgraded.phrase()
    assert upgraded.run(phrase, "first", until="SwapSchemasOperator") == "killed"
    message = upgraded.run(phrase, "second")
    assert message.startswith("TakeLockOperator: gate 'upgrade lock' is closed")
    assert "held by run first of" in message
    assert BackupLoad(upgraded.cloud).loaded() == "before.sql"
    assert RestoreHistory(upgraded.cloud).open() is not None
    assert upgraded.serving() == []


def test_a_cloud_goes_back_and_its_loss_is_exact(upgraded: Stage) -> None:
    phrase = upgraded.phrase()
    assert upgraded.serving() == list(NODES), "asking touches nothing"
    assert upgraded.replaced() == []
    assert upgraded.run(phrase) == ""
    upgraded.assert_restored()
    section = upgraded.section()
    assert lost(section) == LOST
    assert section["lost"] == section["planned"]
    assert section["reasons"] == [
        "schema at 44/44/44, backup at 24/24/24",
        "built differently: limits, password, trigger kept",
    ]
    (aside,) = upgraded.replaced()
    assert section["replaced"] == aside
    assert upgraded.rows("SELECT id FROM user ORDER BY id", aside) == [
        "a",
        "c",
        "d",
        "e",
        "f",
        "g",
    ]
    old = SchemaReader("lab_database_admin", aside)
    assert (old.views(), old.triggers()) == (["a_first", "names", "newest"], ["filled", "kept"])
    assert upgraded.rows("SELECT id FROM newest", aside) == [1, 2]
    assert upgraded.rows(
        "SELECT DISTINCT CONCAT(constraint_schema, unique_constraint_schema) FROM "
        "information_schema.referential_constraints WHERE constraint_schema LIKE "
        "'keystone\\_rollout%' ORDER BY 1"
    ) == sorted([LIVE * 2, aside * 2])
    assert upgraded.log("keystone-1").splitlines() == ["stop", "stop", "flushed", f"start {OLD}"]
    assert not list((upgraded.folder / "backups").glob("*.definitions"))
    last = RestoreHistory(upgraded.cloud).last_downtime()
    assert last is not None
    assert 0 < last.until_first <= last.until_all


def test_a_second_run_finds_that_nothing_is_left_to_do(upgraded: Stage) -> None:
    assert upgraded.run(upgraded.phrase()) == ""
    upgraded.sql("INSERT INTO user (id) VALUES ('written since')")
    refusal = upgraded.run(run_id="again")
    assert "The schema already stands where the backup does and stays as it is" in refusal
    assert "the last time it took" in refusal
    assert upgraded.run(refusal.split("param confirm: ")[1], "confirmed again") == ""
    assert len(upgraded.replaced()) == 1
    assert upgraded.rows("SELECT COUNT(*) FROM user WHERE id = 'written since'") == [1]
    assert upgraded.log("keystone-1").count("stop") == 2


@pytest.mark.parametrize(
    "task",
    ["SwapSchemasOperator", "RestoreNodesOperator", "VerifyRestoreOperator"],
)
def test_a_run_that_was_killed_is_gone_on_with(upgraded: Stage, task: str) -> None:
    phrase = upgraded.phrase()
    assert upgraded.run(phrase, "killed", until=task) == "killed"
    began = upgraded.section("killed")["began"]
    assert upgraded.run(phrase, dead="killed") == ""
    upgraded.assert_restored()
    assert len(upgraded.replaced()) == 1
    section = upgraded.section()
    assert lost(section) == LOST
    if task != "VerifyRestoreOperator":
        assert section["began"] == began, "the downtime began with the run that was killed"


def test_a_run_killed_between_the_move_and_its_triggers_makes_them(upgraded: Stage) -> None:
    phrase = upgraded.phrase()
    assert upgraded.run(phrase, "killed", until="SwapSchemasOperator") == "killed"
    restore = RestoreHistory(upgraded.cloud).open()
    assert restore is not None
    BackupLoad(upgraded.cloud).load(upgraded.folder / "backups" / "before.sql")
    SchemaSwap(upgraded.cloud, restore.replaced).move()
    assert upgraded.run(phrase, dead="killed") == ""
    live = SchemaReader("lab_database_admin", LIVE)
    old = SchemaReader("lab_database_admin", restore.replaced)
    assert (live.views(), live.triggers()) == (["a_first", "names"], ["filled"])
    assert (old.views(), old.triggers()) == (["a_first", "names", "newest"], ["filled", "kept"])


def test_a_restore_that_nobody_finished_is_not_taken_for_the_next_one(upgraded: Stage) -> None:
    phrase = upgraded.phrase()
    assert upgraded.run(phrase, "unfinished", until="VerifyRestoreOperator") == "killed"
    upgraded.upgrade()
    upgraded.sql("INSERT INTO user (id) VALUES ('of the second upgrade')")
    assert upgraded.run(upgraded.phrase(dead="unfinished")) == ""
    upgraded.assert_restored()
    first, second = upgraded.replaced()
    assert upgraded.section("unfinished")["replaced"] == first
    assert upgraded.section()["replaced"] == second
    assert lost(upgraded.section()) == {"user": (1, 0, 0)}
    assert upgraded.section()["began"] > upgraded.section("unfinished")["ended"]


def test_a_writer_that_is_left_stops_it_and_everything_is_put_back(upgraded: Stage) -> None:
    phrase = upgraded.phrase()
    upgraded.admin.run(
        [f"CREATE USER {WRITER} IDENTIFIED BY 'secret'", f"GRANT ALL ON {LIVE}.* TO {WRITER}"],
        autocommit=True,
    )
    settings = upgraded.admin.get_connection("lab_database_admin")
    writer = mysql.connector.connect(
        host=settings.host, port=settings.port, user=WRITER, password="secret", database=LIVE
    )
    try:
        message = upgraded.run(phrase)
    finally:
        writer.close()
    assert re.search(
        rf"writers \({LIVE}\): measured session \d+ of {WRITER} from \S+, limit 0 sessions",
        message,
    )
    assert_as_before(upgraded)


def test_more_loss_than_agreed_stops_it_and_everything_is_put_back(upgraded: Stage) -> None:
    message = upgraded.run("restore before.sql, losing at most 10 writes")
    assert message.startswith(
        "ConfirmRestoreOperator: 11 writes would be lost, param confirm allows 10. Nothing was"
    )
    phrase = "restore before.sql, losing at most 11 writes"
    assert upgraded.run(phrase, "killed", until="StopKeystoneOperator") == "killed"
    upgraded.sql("INSERT INTO user (id) VALUES ('h')")
    context = {
        "params": {"cloud": "example", "backup": "", "confirm": phrase},
        "run_id": "killed",
        "ti": SimpleNamespace(task_id="task", dag_id="keystone_restore"),
    }
    StopKeystoneOperator(task_id="task").execute(context)
    assert upgraded.serving() == []
    with pytest.raises(AirflowFailException, match="measured 12 writes since the backup"):
        SwapSchemasOperator(task_id="task").execute(context)
    ReturnServersOperator(task_id="task").execute(context)
    assert_as_before(upgraded, users=7)


def test_a_locked_table_stops_it_and_everything_is_put_back(
    upgraded: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keystone_rollout.hooks.database.swap.LOCK_WAIT_SECONDS", 1)
    phrase = upgraded.phrase()
    holder: Any = MySqlHook(mysql_conn_id="lab_database_admin", schema=LIVE).get_conn()
    try:
        cursor = holder.cursor()
        cursor.execute("SELECT COUNT(*) FROM password")
        cursor.fetchall()
        message = upgraded.run(phrase)
    finally:
        holder.close()
    assert message.startswith("SwapSchemasOperator: no table was moved: 1205 (HY000): Lock wait")
    assert_as_before(upgraded)
    assert "The live schema is as it was" in message
    assert upgraded.section()["outcome"] == "put back"


def test_a_node_that_cannot_be_stopped_stops_it_and_everything_is_put_back(upgraded: Stage) -> None:
    phrase = upgraded.phrase()
    (upgraded.node("keystone-2") / "stuck").touch()
    message = upgraded.run(phrase)
    assert "keystone-2 may still run: keystone-2: step stop ended with exit status 1" in message
    assert "No table was moved; task settle_servers starts again what was stopped." in message
    assert_as_before(upgraded)


def test_a_node_that_does_not_come_back_stays_out_until_it_is_repaired(upgraded: Stage) -> None:
    phrase = upgraded.phrase()
    (upgraded.node("keystone-3") / "broken").touch()
    message = upgraded.run(phrase)
    assert "keystone-3 is OUT of rotation: keystone-3: step start ended with" in message
    assert f"only {OLD} may serve; it is served by keystone-1, keystone-2" in message
    assert upgraded.serving() == ["keystone-1", "keystone-2"]
    served = upgraded.section()["served"]
    upgraded.sql("INSERT INTO user (id) VALUES ('written since')")
    (upgraded.node("keystone-3") / "broken").unlink()
    assert upgraded.run(phrase, "second") == ""
    assert upgraded.serving() == list(NODES)
    section = upgraded.section("second")
    assert section["served"] == served < section["ended"]
    assert upgraded.rows("SELECT COUNT(*) FROM user WHERE id = 'written since'") == [1]
    assert len(upgraded.replaced()) == 1
    assert upgraded.log("keystone-1").count("stop") == 2


def test_an_unreachable_node_is_found_before_anything_stops(upgraded: Stage) -> None:
    (upgraded.node("keystone-2") / "installed").write_text("")
    message = upgraded.run("restore before.sql, losing at most 100 writes")
    assert message.startswith("PlanRestoreOperator: gate 'preflight' is closed")
    assert "FAILED release (keystone-2): measured unknown: report_release printed" in message
    assert upgraded.serving() == list(NODES)


def test_what_the_administrators_account_lacks_is_found(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(*grants: str) -> dict[str, tuple[bool, str]]:
        stage.admin.run(
            [f"DROP USER IF EXISTS {WRITER}", f"CREATE USER {WRITER} IDENTIFIED BY 'secret'",
             *(f"GRANT {grant} TO {WRITER}" for grant in grants)],
            autocommit=True,
        )  # fmt: skip
        checks = RestoreChecks(run_with(cloud, tmp_path))
        return {each.check: (each.ok, each.measured) for each in checks._administrator()}

    settings = stage.admin.get_connection("lab_database_admin")
    account = {"conn_type": "mysql", "host": settings.host, "port": settings.port,
               "login": WRITER, "password": "secret", "extra": settings.extra_dejson}  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_EXAMPLE_WRITER", json.dumps(account))
    databases = stage.cloud.databases.model_copy(update={"administrator": "example_writer"})
    cloud = stage.cloud.model_copy(update={"databases": databases})
    everything = f"ALL ON {LIVE}.*"
    assert judged(everything) == {
        "privileges": (False, "missing PROCESS"),
        "definitions": (
            False,
            "3 triggers and views (filled, a_first, names), account may not make them again",
        ),
    }
    assert judged("SELECT, TRIGGER ON *.*", "PROCESS ON *.*")["privileges"] == (
        False,
        "missing CREATE, DROP, ALTER, INSERT, CREATE VIEW, SHOW VIEW",
    )
    assert judged(everything, "PROCESS, SUPER ON *.*") == {
        "privileges": (True, "complete"),
        "definitions": (
            True,
            "3 triggers and views (filled, a_first, names), account may make them again",
        ),
    }
    # Another account's trigger takes SET USER; with the binary log on it takes SUPER (error 1419).
    assert not judged(everything, "PROCESS, SET USER, BINLOG ADMIN ON *.*")["definitions"][0]


def test_before_contract_the_plan_names_the_better_way(stage: Stage) -> None:
    stage.back_up()
    stage.sql(
        "UPDATE migrate_version SET version = 44 WHERE repository_id IN "
        "('keystone_expand', 'keystone_data_migrate')"
    )
    refusal = stage.run()
    assert "Contract has not run: DAG keystone_rollback rolls the nodes back without losing" in (
        refusal
    )


def test_a_half_done_expand_counts_as_different_though_its_number_has_not_moved(
    stage: Stage,
) -> None:
    stage.back_up()
    stage.sql("CREATE INDEX half_done ON user (enabled)")
    assert stage.run(stage.phrase()) == ""
    assert stage.section()["reasons"] == ["built differently: user"]


def test_a_server_crash_half_way_through_the_move_is_told_and_not_made_worse(
    upgraded: Stage,
) -> None:
    phrase = upgraded.phrase()
    assert upgraded.run(phrase, "killed", until="SwapSchemasOperator") == "killed"
    restore = RestoreHistory(upgraded.cloud).open()
    assert restore is not None
    aside = restore.replaced
    upgraded.admin.run(
        [f"CREATE DATABASE {aside}", f"RENAME TABLE {LIVE}.whitelisted TO {aside}.whitelisted"],
        autocommit=True,
    )
    context = {
        "params": {"cloud": "example", "backup": "", "confirm": phrase},
        "run_id": "killed",
        "ti": SimpleNamespace(task_id="task", dag_id="keystone_restore"),
    }
    for task in (SwapSchemasOperator, ReturnServersOperator):
        with pytest.raises(AirflowFailException) as caught:
            task(task_id="task").execute(context)
        assert str(caught.value).startswith(
            "the swap is half-done: 1 tables were moved aside (whitelisted), but the live schema "
            "has 4 (limits, migrate_version, password, user) and the backup 4. Nothing is lost."
        )
