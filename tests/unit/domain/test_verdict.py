"""A verdict says the same words everywhere: measured, limit, consequence, next step."""

from __future__ import annotations

from keystone_rollout.domain.verdict import Verdict, failed

BAD = Verdict(
    ok=False,
    check="sessions",
    object="keystone-2",
    measured="3 after 60 s",
    limit="0",
    consequence="it stays in drain, no traffic was lost.",
    next_step="clear this task to retry",
)
GOOD = Verdict(True, "sessions", "keystone-2", "0", "0", "never seen", "never seen")


def test_a_good_verdict_is_one_short_line() -> None:
    assert str(GOOD) == "ok sessions (keystone-2): measured 0, limit 0"


def test_a_bad_verdict_says_what_follows_and_what_to_do() -> None:
    assert str(BAD) == (
        "FAILED sessions (keystone-2): measured 3 after 60 s, limit 0. Consequence: it stays in "
        "drain, no traffic was lost. Next: clear this task to retry"
    )


def test_what_is_not_known_is_not_printed() -> None:
    assert str(Verdict(False, "sudo", "n", "no", "yes")) == (
        "FAILED sudo (n): measured no, limit yes"
    )


def test_failed_keeps_the_order() -> None:
    other = Verdict(False, "a", "b", "c", "d")
    assert failed([BAD, GOOD, other]) == [BAD, other]
