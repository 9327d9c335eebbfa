"""The exit code of the campaign hides nothing, and its command names no folder."""

from __future__ import annotations

import pytest

from lab.campaigns.hops import command, exit_code
from lab.campaigns.row import Row
from tests.stand_ins import campaign_example as example

GREEN = example.record()
RED = example.record("13-14", failed=("failed requests: 3 (limit 0)",))
UNBUILT = example.unobtainable("14-15").updated(lacks_sources=False)


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([GREEN], 0),
        ([GREEN, example.unobtainable()], 0),
        ([GREEN, RED], 1),
        ([GREEN, UNBUILT], 1),
        ([example.unobtainable()], 1),
        ([], 1),
    ],
)
def test_only_green_hops_and_missing_archives_are_a_success(rows: list[Row], code: int) -> None:
    assert exit_code(rows) == code


def test_the_command_names_no_folder_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYSTONE_DIST", "/srv/secret-place")
    assert command("12-13") == "KEYSTONE_DIST=... make hops HOPS=12-13"
    monkeypatch.delenv("KEYSTONE_DIST")
    assert command("") == "make hops"
