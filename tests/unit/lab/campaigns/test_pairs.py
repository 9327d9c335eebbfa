"""Which hops there are, and in which order they are run."""

import pytest

from keystone_rollout.domain.releases.catalogue import catalogue
from keystone_rollout.domain.releases.identity import parse_identity
from keystone_rollout.domain.releases.release import check_hop
from lab.campaigns.pairs import all_hops, long_way, pick_hops
from machine.errors import CommandError


def test_every_adjacent_hop_and_every_allowed_skip_is_there_once() -> None:
    keys = [hop.key for hop in all_hops()]
    assert len(keys) == len(set(keys)) == 23
    assert keys[:3] == ["10-11", "11-12", "12-13"]
    skips = [hop.key for hop in all_hops() if hop.target.number - hop.source.number == 2]
    assert skips == ["23-25", "25-27", "27-29"]


def test_every_hop_is_one_that_the_product_allows() -> None:
    refusals = [
        check_hop(parse_identity(hop.source.version), parse_identity(hop.target.version))
        for hop in all_hops()
    ]
    assert refusals == [None] * 23


def test_a_source_is_never_left_and_come_back_to() -> None:
    sources = [hop.source.number for hop in all_hops()]
    assert sources == sorted(sources)


def test_the_long_way_leaves_no_release_out() -> None:
    way = long_way(12, 30)
    assert [hop.key for hop in way[:2]] == ["12-13", "13-14"]
    assert [hop.target.number for hop in way] == list(range(13, 31))
    assert way[-1].target == catalogue().releases[-1]


def test_hops_are_picked_by_name_and_keep_their_order() -> None:
    assert [hop.key for hop in pick_hops("23-25, 12-13", all_hops())] == ["12-13", "23-25"]
    assert pick_hops("", all_hops()) == all_hops()


def test_what_is_no_hop_is_named_with_those_that_are() -> None:
    with pytest.raises(
        CommandError, match=r"HOPS names 12-14, x, which is no hop; allowed are 10-11"
    ):
        pick_hops("12-14,12-13,x", all_hops())
