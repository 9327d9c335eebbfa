"""The rehearsal judges the schema by the heads of the image, in whichever table they stand."""

from __future__ import annotations

import pytest

from lab.rehearsal import judge_schema

NUMBERS = {"expand": "44", "migrate": "44", "contract": "44"}
REVISIONS = {"expand": "742c857f1dfb", "migrate": "", "contract": "c88cdce8f248"}


@pytest.mark.parametrize(
    ("versions", "heads", "measured", "ok"),
    [
        (
            {"keystone": "109", "keystone_expand": "44", "keystone_data_migrate": "44",
             "keystone_contract": "44"}, NUMBERS, "44/44/44", True,
        ),
        (
            {"keystone": "109", "keystone_expand": "44", "keystone_data_migrate": "44",
             "keystone_contract": "24"}, NUMBERS, "44/44/24", False,
        ),
        ({"alembic 1": "742c857f1dfb", "alembic 2": "c88cdce8f248"}, REVISIONS,
         "742c857f1dfb/c88cdce8f248", True),
        ({"alembic 1": "742c857f1dfb"}, REVISIONS, "742c857f1dfb", False),
        ({"alembic 1": "742c857f1dfb", "alembic 2": "c88cdce8f248", "alembic 3": "ffff"}, REVISIONS,
         "742c857f1dfb/c88cdce8f248/ffff", False),
        ({"alembic 1": "742c857f1dfb", "alembic 2": "c88cdce8f248"}, NUMBERS, "none/none/none",
         False),
        ({}, REVISIONS, "none", False),
        ({}, {}, "none/none/none", False),
    ],
)  # fmt: skip
def test_the_schema_has_to_stand_at_the_heads(
    versions: dict[str, str], heads: dict[str, str], measured: str, ok: bool
) -> None:
    check = judge_schema(versions, heads)
    assert (check.measured, check.ok) == (measured, ok)
