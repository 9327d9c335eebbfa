"""Answer one check that is made before anything is touched."""

from __future__ import annotations

from keystone_rollout.domain.verdict import Verdict

UNTOUCHED = "nothing was touched"


def finding(
    ok: bool, check: str, subject: str, measured: str, limit: str, next_step: str
) -> Verdict:
    """Return a verdict whose consequence is that nothing has begun."""
    return Verdict(ok, check, subject, measured, limit, UNTOUCHED, next_step)
