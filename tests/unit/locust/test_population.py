"""Tokens of all ages are drawn, worn-out ones never; a user belongs to one action at a time."""

from collections import Counter

import pytest

from population import AdminTokens, IssuedToken, LoadUser, Population, TokenPool


def issued(value: str, at: float, lifetime: float = 3600) -> IssuedToken:
    return IssuedToken(value, "u1", at, at + lifetime)


def test_the_lifetime_is_the_servers_own() -> None:
    answer = {
        "user": {"id": "u1"},
        "issued_at": "2026-11-22T14:00:00.000000Z",
        "expires_at": "2026-11-22T15:00:00.000000Z",
    }
    token = IssuedToken.of("t", answer, 5000.0)
    assert (token.user_id, token.issued, token.usable_until) == ("u1", 5000.0, 5000.0 + 2880)
    assert "value" not in repr(token)


def test_old_and_fresh_tokens_are_drawn_alike() -> None:
    pool = TokenPool()
    for second in range(600):
        for _ in range(3):
            pool.add(issued(str(second), float(second)))
    assert len(pool) == 600
    drawn = Counter(int(pool.draw(600.0).value) // 100 for _ in range(6000))  # type: ignore[union-attr]
    assert set(drawn) == {0, 1, 2, 3, 4, 5}
    assert min(drawn.values()) > 800


@pytest.mark.parametrize(("lifetime", "last"), [(3600.0, 609.0), (100.0, 99.0)])
def test_a_token_too_old_or_worn_out_is_never_drawn(lifetime: float, last: float) -> None:
    pool = TokenPool()
    pool.add(issued("t", 0.0, lifetime))
    assert pool.draw(last) is not None
    assert pool.draw(last + 1) is None


def test_the_administrators_last_tokens_are_used_in_turn() -> None:
    tokens = AdminTokens(renew_seconds=60, keep=3)
    for number in range(5):
        tokens.add(issued(str(number), 60.0 * number))
    assert {tokens.draw() for _ in range(200)} == {"2", "3", "4"}


def test_the_administrators_short_tokens_are_dropped_in_time() -> None:
    tokens = AdminTokens(renew_seconds=60, keep=5)
    for number in range(5):
        tokens.add(issued(str(number), 60.0 * number, lifetime=130))
    assert {tokens.draw() for _ in range(200)} == {"3", "4"}


def test_one_caller_per_interval_renews() -> None:
    tokens = AdminTokens(renew_seconds=60)
    assert [tokens.claim_renewal(now) for now in (100.0, 100.1, 159.9, 160.0, 160.1)] == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_a_taken_user_is_nobody_elses() -> None:
    population = Population(living_limit=2)
    user = LoadUser("u1", "load-1")
    population.born(user)
    population.put_back(user)
    assert population.take(assigned=True) is None
    assert population.take() is user
    assert population.take() is None
    assert not population.full
    population.born(LoadUser("u2", "load-2"))
    assert population.full
    population.gone(user)
    assert not population.full
