"""One statement moves everything, and a half-done one is seen."""

from __future__ import annotations

from keystone_rollout.domain.schema.table_moves import half_moved, rename_statement, replaced_schema


def test_all_tables_move_in_one_statement_the_live_ones_first() -> None:
    assert rename_statement(["a", "b`"], ["a"], "keystone", "scratch", "aside") == (
        "RENAME TABLE `keystone`.`a` TO `aside`.`a`, `keystone`.`b``` TO `aside`.`b```, "
        "`scratch`.`a` TO `keystone`.`a`"
    )


def test_the_replaced_schemas_name_tells_when_and_fits() -> None:
    name = replaced_schema(1772359200.9)
    assert name == "keystone_rollout_replaced_20260301T100000"
    assert len(name) <= 64


def test_a_whole_swap_and_one_that_has_not_begun_are_not_half_done() -> None:
    assert half_moved(live=["a", "b"], kept=["a"], replaced=[]) is None
    assert half_moved(live=["a"], kept=[], replaced=["a", "b"]) is None
    assert half_moved(live=["a"], kept=["a"], replaced=["a", "b"]) is None


def test_a_half_done_swap_says_what_is_where() -> None:
    assert half_moved(live=["f"], kept=["a", "f"], replaced=["a", "b", "c", "d", "e", "g"]) == (
        "6 tables were moved aside (a, b, c, d, e, ...), but the live schema has 1 (f) and the "
        "backup 2"
    )
    assert half_moved(live=[], kept=["a"], replaced=["a"]) is not None
