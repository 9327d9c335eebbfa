"""A cloud can go back until contract takes something away; after that it is told why not."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.recovery.rollback import judge_way_back, left_behind
from keystone_rollout.domain.releases.catalogue import catalogue
from keystone_rollout.domain.schema.contract_heads import contract_mark, contracted_past
from keystone_rollout.domain.schema.state import MigrationState
from keystone_rollout.domain.schema.versions import Phase, RecordedVersions
from keystone_rollout.hooks.files.cloud_file import load_cloud
from tests.stand_ins.image_listings import LISTINGS, alembic, image_of, legacy

ZED = ("29e87d24a316", "e25ffa003242")
CONTRACTED = "c88cdce8f248"


def cloud(source: str = "12.0.3", target: str = "13.0.4") -> Cloud:
    return load_cloud("lab").model_copy(update={"source": source, "target": target})


def test_an_expanded_schema_has_a_way_back() -> None:
    verdict = judge_way_back(cloud(), legacy(44, 44, 24))
    assert verdict.ok
    assert verdict.measured == "contract at 24, schema at 44/44/24"


@pytest.mark.parametrize("contract", [44, 25])
def test_after_contract_it_is_refused_with_the_other_way(contract: int) -> None:
    verdict = judge_way_back(cloud(), legacy(44, 44, contract))
    assert not verdict.ok
    assert verdict.measured == f"contract at {contract}, schema at 44/44/{contract}"
    assert verdict.limit == "no contract migration run that 12.0.3 (Pike) does not have"
    assert "after contract there is no way back node by node" in verdict.consequence
    assert "12.0.3 (Pike) needs are gone" in verdict.consequence
    assert "DAG keystone_restore" in verdict.next_step


@pytest.mark.parametrize(
    ("source", "target", "state", "ok"),
    [
        ("20.0.1", "21.0.1", legacy(79, 79, 79, "21.0.1"), True),
        ("18.1.0", "19.0.1", legacy(79, 79, 79, "21.0.1"), False),
        ("21.0.1", "22.0.2", legacy(79, 79, 79, "22.0.2"), True),
        ("21.0.1", "22.0.2", alembic("22.0.2", "27e647c0fad4"), True),
        ("21.0.1", "22.0.2", alembic("22.0.2", ZED[0]), True),
        ("21.0.1", "22.0.2", alembic("22.0.2", *ZED), False),
        ("22.0.2", "23.0.2", alembic("23.0.2", *ZED), True),
        ("23.0.2", "25.0.0", alembic("25.0.0", "47147121", ZED[1]), True),
        ("23.0.2", "25.0.0", alembic("25.0.0", "47147121", "99de3849d860"), False),
        ("23.0.2", "25.0.0", alembic("25.0.0", "47147121", CONTRACTED), False),
        ("25.0.0", "27.0.1", alembic("25.0.0", "47147121", CONTRACTED), True),
        ("28.0.1", "29.1.0", alembic("29.1.0", "742c857f1dfb", CONTRACTED), True),
        ("29.1.0", "30.0.0", alembic("30.0.0", "742c857f1dfb", CONTRACTED), True),
    ],
)
def test_only_a_contract_that_the_source_does_not_have_closes_the_way(
    source: str, target: str, state: MigrationState, ok: bool
) -> None:
    assert judge_way_back(cloud(source, target), state).ok is ok


def test_what_cannot_be_told_is_refused() -> None:
    state = alembic("29.1.0", "742c857f1dfb", CONTRACTED)
    assert contracted_past(31, state) is None
    assert contracted_past(23, legacy(44, 44, 44)) is None
    verdict = judge_way_back(cloud("23.0.2", "29.1.0"), alembic("29.1.0", "742c857f1dfb", "ffff"))
    assert not verdict.ok
    assert verdict.measured.startswith("alembic_version holds ffff, which the image does not carry")


def test_the_catalogue_s_heads_are_those_of_the_real_releases() -> None:
    for path in LISTINGS.iterdir():
        series = catalogue().series(int(path.stem.split(".")[0]))
        assert series is not None
        assert series.contract_head == image_of(path.stem).head(Phase.CONTRACT)


def test_a_contract_is_seen_without_an_image_too() -> None:
    before, expanded, after = (
        RecordedVersions(revisions=revisions)
        for revisions in (ZED, ("47147121", ZED[1]), ("47147121", CONTRACTED))
    )
    assert contract_mark(before) == contract_mark(expanded) != contract_mark(after)
    assert contract_mark(legacy(44, 44, 24).recorded) == "24"


def test_it_says_what_stays() -> None:
    texts = left_behind(cloud(), legacy(44, 44, 24))
    assert texts[0].startswith("The schema stays as it is, at 44/44/24: it serves 12.0.3 (Pike)")
    assert "stay on the nodes, not installed" in texts[1]
    assert ".lab/backups" in texts[2]
