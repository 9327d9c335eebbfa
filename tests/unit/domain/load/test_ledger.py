"""The ledger tells which users must exist, and with which password."""

import json

import pytest

from keystone_rollout.domain.load.ledger import LedgerError, parse_ledger


def line(event: str, user: str = "u1", generation: int = 0) -> str:
    fields = {"t": 1.0, "event": event, "id": user, "name": f"load-{user}"}
    return json.dumps(fields | {"generation": generation}) + "\n"


def test_a_created_user_lives_with_its_first_password() -> None:
    (user,) = parse_ledger(line("created"))
    assert (user.name, user.deleted, user.uncertain, user.generations) == (
        "load-u1",
        False,
        False,
        (0,),
    )


def test_an_acknowledged_change_is_the_only_valid_password() -> None:
    text = line("created") + line("password_change_sent", generation=1)
    assert parse_ledger(text)[0].generations == (0, 1)
    assert parse_ledger(text + line("password_changed", generation=1))[0].generations == (1,)


def test_an_unanswered_deletion_leaves_it_open() -> None:
    (user,) = parse_ledger(line("created") + line("delete_sent"))
    assert (user.uncertain, user.deleted) == (True, False)
    (user,) = parse_ledger(line("created") + line("delete_sent") + line("deleted"))
    assert (user.uncertain, user.deleted) == (False, True)


def test_a_half_written_last_line_is_ignored() -> None:
    assert len(parse_ledger(line("created") + line("created", "u2")[:-5])) == 1


@pytest.mark.parametrize("bad", ["{\n", line("deleted", "u9"), line("renamed")])
def test_any_other_bad_line_is_named(bad: str) -> None:
    with pytest.raises(LedgerError, match=r"^l\.jsonl line 2 is not a ledger event"):
        parse_ledger(line("created") + bad + line("created", "u3"), "l.jsonl")
