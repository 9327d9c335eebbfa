"""Before contract a cloud can go back; after it, it is told why not."""

from __future__ import annotations

from hooks.cloud_file import load_cloud
from rollout.migration_state import SchemaVersions
from rollout.rollback import judge_way_back, left_behind

HEADS = SchemaVersions(44, 44, 44)


def test_an_expanded_schema_has_a_way_back() -> None:
    verdict = judge_way_back(load_cloud("lab"), SchemaVersions(44, 44, 24), HEADS)
    assert verdict.ok
    assert verdict.measured == "contract at 24, schema 44/44/24"


def test_after_contract_it_is_refused_with_the_other_way() -> None:
    verdict = judge_way_back(load_cloud("lab"), SchemaVersions(44, 44, 44), HEADS)
    assert not verdict.ok
    assert verdict.measured == "contract at 44, schema 44/44/44"
    assert verdict.limit == "contract below the head 44"
    assert "after contract there is no way back node by node" in verdict.consequence
    assert "12.0.3 (Pike) needs are gone" in verdict.consequence
    assert "DAG keystone_restore" in verdict.next_step


def test_it_says_what_stays() -> None:
    texts = left_behind(load_cloud("lab"), SchemaVersions(44, 44, 24))
    assert texts[0].startswith("The schema stays expanded at 44/44/24: it serves 12.0.3 (Pike) and")
    assert "stay on the nodes, not installed" in texts[1]
    assert ".lab/backups" in texts[2]
