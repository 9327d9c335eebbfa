"""Say for a plan whether a hop exists, and what it needs beyond the procedure."""

from __future__ import annotations

from dataclasses import asdict

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.releases.cache_sharing import writes_that_fail
from keystone_rollout.domain.releases.release import (
    check_hop,
    failing_writes,
    makes_triggers,
    needed_options,
    own_cache_reasons,
    read_committed_reasons,
    remarks,
)
from keystone_rollout.domain.verdict import Verdict

PLANNED = "nothing was touched: this is a plan"
TRIGGERS = (
    "yes, which takes SUPER or log_bin_trust_function_creators = 1 (error 1419 otherwise); the "
    "upgrade sets it"
)


def hop_part(cloud: Cloud) -> dict[str, object]:
    """Return the plan's part about the hop itself, as plain data."""
    source, target = cloud.source_release, cloud.target_release
    return {
        "cloud": cloud.name,
        "source": str(source),
        "target": str(target),
        "conditions": conditions(cloud),
        "findings": [asdict(each) for each in _refusal(cloud)],
    }


def _refusal(cloud: Cloud) -> list[Verdict]:
    reason = check_hop(cloud.source_release, cloud.target_release)
    if reason is None:
        return []
    return [
        Verdict(
            False, "hop", cloud.name, f"{cloud.source_release} to {cloud.target_release}",
            "a hop that exists", f"keystone_upgrade refuses it: {reason}",
            "plan again with a source and a target that follow each other",
        )
    ]  # fmt: skip


def conditions(cloud: Cloud) -> list[dict[str, str]]:
    """Return the conditions and restrictions of the hop: a term and a sentence each."""
    source, target = cloud.source_release, cloud.target_release
    writes = writes_that_fail(cloud, failing_writes(source, target))
    options = [f"{option}: {option.why}" for option in needed_options(source, target)]
    caches = own_cache_reasons(source, target)
    return [
        _condition("writes that fail by design", writes, "none is known for this hop"),
        _condition(
            f"options that keystone.conf of {cloud.target} needs", options, "none for this hop"
        ),
        {"term": "creates triggers", "text": TRIGGERS if makes_triggers(source, target) else "no"},
        {"term": "read committed", "text": _read_committed(cloud)},
        _condition(
            "memcached", caches, "both releases may share it",
            "each release needs a memcached of its own: ",
        ),
        _condition("worth knowing", remarks(source, target), "nothing else is known of this hop"),
        *({"term": "not verified", "text": text} for text in cloud.tls.exceptions()),
    ]  # fmt: skip


def _condition(term: str, texts: list[str], otherwise: str, begin: str = "") -> dict[str, str]:
    return {"term": term, "text": begin + "; ".join(texts) if texts else otherwise}


def _read_committed(cloud: Cloud) -> str:
    reasons = "; ".join(read_committed_reasons(cloud.source_release, cloud.target_release))
    if cloud.holds_read_committed:
        return (
            "the database server's global isolation is READ COMMITTED from before expand until "
            "after contract: "
            + (reasons if cloud.read_committed == "auto" else "read_committed is `always`")
        )
    if reasons:
        return f"switched off (read_committed is `never`), though this hop needs it: {reasons}"
    return "not needed in this hop: the server's isolation stays as it is"
