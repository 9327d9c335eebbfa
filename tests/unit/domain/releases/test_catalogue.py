"""What the catalogue of releases has to hold, and what is refused in its file."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from keystone_rollout.domain.releases.catalogue import Catalogue, catalogue

NUMBERS = range(10, 31)


def row(number: int, **other: Any) -> dict[str, Any]:
    facts = {"codename": "Some", "version": f"{number}.0.0", "pythons": ["3.11"], "api": "script"}
    schema = {"version_table": "alembic_version", "contract_head": "1"}
    return {"number": number, **facts, **schema, **other}


def test_every_release_from_newton_to_2026_2_is_there() -> None:
    releases = catalogue().releases
    assert [series.number for series in releases] == list(NUMBERS)
    assert (releases[0].codename, releases[-1].codename) == ("Newton", "2026.2")
    assert len({series.codename for series in releases}) == len(NUMBERS)


def test_the_way_of_recording_the_schema_version_changes_with_zed() -> None:
    tables = {series.number: series.version_table for series in catalogue().releases}
    assert {n for n in NUMBERS if tables[n] == "migrate_version"} == set(range(10, 22))
    assert {n for n in NUMBERS if tables[n] == "alembic_version"} == set(range(22, 31))


def test_token_flush_ends_with_rocky() -> None:
    assert [s.number for s in catalogue().releases if s.token_flush] == [10, 11, 12, 13, 14]


def test_every_second_release_may_be_skipped_from_2023_1_on() -> None:
    assert [s.number for s in catalogue().releases if s.slurp] == [23, 25, 27, 29]


def test_only_newton_and_ocata_are_not_on_pypi() -> None:
    assert [s.number for s in catalogue().releases if not s.on_pypi] == [10, 11]


def test_releases_have_the_names_that_distributions_use() -> None:
    names = {series.codename: series.release_name for series in catalogue().releases}
    assert (names["Newton"], names["Zed"]) == ("newton", "zed")
    assert [names[f"{year}.{half}"] for year in range(2023, 2027) for half in (1, 2)] == [
        "antelope", "bobcat", "caracal", "dalmatian", "epoxy", "flamingo", "gazpacho", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(12), row(14)], "without a gap; read [12, 14]"),
        ([row(12, version="13.0.4")], "Some is 12, read 13.0.4"),
        ([row(12, slurps=True)], "Extra inputs are not permitted"),
        ([row(12, version_table="none")], "'migrate_version' or 'alembic_version'"),
    ],
)
def test_a_wrong_catalogue_is_refused(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Catalogue.model_validate({"releases": rows, "hops": []})
    assert message in str(caught.value)
