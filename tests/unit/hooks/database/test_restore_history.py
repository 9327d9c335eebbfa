"""The loss of a restore is in the cloud's database, where another version reads it, too."""

from __future__ import annotations

from typing import Any

import pytest

from keystone_rollout.domain.schema.difference import Difference, TableDifference
from keystone_rollout.hooks.database.restore_history import RestoreHistory
from keystone_rollout.hooks.files.cloud_file import load_cloud

LOST = Difference((TableDifference("user", lost=2, changed=1), TableDifference("x", by_key=False)))
OLDER = (
    '[{"table": "user", "lost": 2, "returning": 0, "changed": 1, "by_key": true}, '
    '{"table": "x", "lost": 0, "returning": 0, "changed": 0, "by_key": false}]'
)
"""As 0.2.0 wrote it."""


class Table:
    """Stand for the table, with one row."""

    def __init__(self, lost: str | None) -> None:
        self.lost = lost

    def rows(self, _question: str, **_parameters: Any) -> list[tuple[Any, ...]]:
        return [("aside", "a.sql", 1, None, self.lost, None, None)]

    def write(self, _statement: str, *, replaced: str, lost: str) -> None:
        assert replaced == "aside"
        self.lost = lost


@pytest.mark.parametrize(("kept", "lost"), [(OLDER, LOST), (None, None), ("[]", Difference())])
def test_the_loss_is_read(kept: str | None, lost: Difference | None) -> None:
    history = RestoreHistory(load_cloud("lab"))
    history.table = Table(kept)  # type: ignore[assignment]
    found = history.open()
    assert found is not None
    assert found.lost == lost


def test_the_loss_is_kept_in_the_same_shape() -> None:
    history, table = RestoreHistory(load_cloud("lab")), Table(None)
    history.table = table  # type: ignore[assignment]
    history.keep_lost("aside", LOST)
    assert (table.lost or "").replace(" ", "") == OLDER.replace(" ", "")
