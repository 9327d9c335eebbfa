"""The SQL that counts a loss names only what both schemas have, and quotes it."""

from __future__ import annotations

from keystone_rollout.domain.schema.difference import (
    Column,
    Difference,
    TableDifference,
    counting_statements,
    quoted,
    table_difference,
)

SCHEMAS = ("keystone", "scratch")


def column(name: str, kind: str = "varchar", primary: bool = False, collation: str = "c") -> Column:
    return Column(name, kind, collation, primary)


USER = [column("id", primary=True), column("extra", "text"), column("created_at", "datetime0")]


def test_rows_are_found_by_key_and_values_compared_byte_by_byte() -> None:
    assert counting_statements("user", USER, USER, SCHEMAS) == {
        "lost": "SELECT COUNT(*) FROM `keystone`.`user` AS present WHERE NOT EXISTS "
        "(SELECT 1 FROM `scratch`.`user` AS saved WHERE saved.`id` = present.`id`)",
        "returning": "SELECT COUNT(*) FROM `scratch`.`user` AS saved WHERE NOT EXISTS "
        "(SELECT 1 FROM `keystone`.`user` AS present WHERE saved.`id` = present.`id`)",
        "changed": "SELECT COUNT(*) FROM `keystone`.`user` AS present JOIN `scratch`.`user` AS "
        "saved ON saved.`id` = present.`id` WHERE NOT ("
        "CAST(present.`extra` AS BINARY) <=> CAST(saved.`extra` AS BINARY) AND "
        "CAST(present.`created_at` AS BINARY) <=> CAST(saved.`created_at` AS BINARY))",
    }


def test_a_column_that_only_one_side_has_or_of_another_kind_is_not_compared() -> None:
    kept = [USER[0], column("extra", "text"), column("created_at", "datetime6"), column("gone")]
    changed = counting_statements("user", [*USER, column("new")], kept, SCHEMAS)["changed"]
    assert "`extra`" in changed
    assert not [name for name in ("created_at", "new", "gone") if f"`{name}`" in changed]


def test_every_column_of_a_key_takes_part_in_it() -> None:
    pair = [column("a", primary=True), column("b", primary=True)]
    statements = counting_statements("pair", pair, pair, SCHEMAS)
    assert "saved.`a` = present.`a` AND saved.`b` = present.`b`" in statements["lost"]
    assert "changed" not in statements


def test_a_table_of_one_side_is_counted_whole() -> None:
    assert counting_statements("new", USER, None, SCHEMAS) == {
        "lost": "SELECT COUNT(*) FROM `keystone`.`new`"
    }
    assert counting_statements("old", None, USER, SCHEMAS) == {
        "returning": "SELECT COUNT(*) FROM `scratch`.`old`"
    }


def test_without_a_common_key_only_the_numbers_of_rows_are_compared() -> None:
    without = [column("id"), column("extra")]
    other = [column("id", primary=True, collation="d"), *USER[1:]]
    for live, kept in ((without, without), (USER, without), (USER, other), (USER, [])):
        assert counting_statements("user", live, kept, SCHEMAS) == {
            "present": "SELECT COUNT(*) FROM `keystone`.`user`",
            "saved": "SELECT COUNT(*) FROM `scratch`.`user`",
        }
    more = table_difference("user", {"present": 9, "saved": 7})
    assert (more.lost, more.returning, more.by_key) == (2, 0, False)
    fewer = table_difference("user", {"present": 7, "saved": 9})
    assert (fewer.lost, fewer.returning) == (0, 2)
    assert str(more) == "user: 2 lost, no common primary key, only row counts compared"


def test_identifiers_cannot_end_their_quotes() -> None:
    assert quoted("keystone", "a`; DROP TABLE b") == "`keystone`.`a``; DROP TABLE b`"


def test_the_loss_is_said_in_one_sentence_and_by_table() -> None:
    difference = Difference(
        (
            TableDifference("a"),
            TableDifference("b", lost=1, changed=1),
            TableDifference("c", lost=1200, returning=12, changed=34),
        )
    )
    assert difference.total == 1248
    assert difference.sentence() == (
        "1,248 writes since the backup: 1,201 new rows lost, 12 deleted rows back, "
        "35 rows changed back"
    )
    assert [str(table) for table in difference.affected] == [
        "c: 1,200 lost, 12 back, 34 changed back",
        "b: 1 lost, 1 changed back",
    ]
    assert str(difference.tables[0]) == "a: nothing"
    assert table_difference("c", {"lost": 3}) == TableDifference("c", lost=3)
