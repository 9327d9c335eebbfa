"""Decide which hops between two releases exist, and what each of them needs."""

from __future__ import annotations

from keystone_rollout.domain.releases.catalogue import HopNeeds, Option, catalogue
from keystone_rollout.domain.releases.identity import Identity


def check_hop(source: Identity, target: Identity) -> str | None:
    """Say why an upgrade from source to target is refused, or return None if it is allowed."""
    if target == source:
        return f"source and target are both {source}: there is nothing to upgrade"
    if target.numbers == source.numbers:
        return (
            f"{source} and {target} are two builds of one version: a run between builds is not "
            "supported; allowed is a target of another version. Next: roll this build out as the "
            "packages of any other service, node by node"
        )
    if target.numbers < source.numbers:
        return (
            f"{source} to {target} is a downgrade: the database cannot go back; "
            "allowed is a later release"
        )
    step = target.major - source.major
    if step <= 1 or (step == 2 and source.series.slurp):
        return None
    path = " → ".join(codename(number) for number in hop_path(source.major, target.major))
    return f"{source} to {target} skips releases that cannot be skipped; take {path}, one hop each"


def needs(source: Identity, target: Identity) -> list[HopNeeds]:
    """Return what a hop needs beyond the procedure, skipped releases included."""
    return catalogue().needs(source.major, target.major)


def makes_triggers(source: Identity, target: Identity) -> bool:
    """Tell whether migrations of a hop create triggers; True if either release is unknown."""
    known = all(catalogue().series(each.major) for each in (source, target))
    return not known or any(need.makes_triggers for need in needs(source, target))


def read_committed_reasons(source: Identity, target: Identity) -> list[str]:
    """Return why transactions have to be READ COMMITTED in a hop; empty for most."""
    return [need.read_committed for need in needs(source, target) if need.read_committed]


def own_cache_reasons(source: Identity, target: Identity) -> list[str]:
    """Return why nodes of the two releases cannot share memcached; empty for most."""
    return [need.own_cache for need in needs(source, target) if need.own_cache]


def needed_options(source: Identity, target: Identity) -> list[Option]:
    """Return the options that the target's keystone.conf has to hold during a hop."""
    return [option for need in needs(source, target) for option in need.configuration]


def failing_writes(source: Identity, target: Identity) -> list[str]:
    """Return the requests that fail by design while a hop is under way."""
    return [window for need in needs(source, target) for window in need.failing_writes]


def remarks(source: Identity, target: Identity) -> list[str]:
    """Return what else an operator should know about a hop, a sentence each."""
    return [remark for need in needs(source, target) for remark in need.remarks]


def hop_path(source: int, target: int) -> list[int]:
    """Return the shortest allowed way from one release's number to another, both included."""
    path = [source]
    while path[-1] < target:
        here = path[-1]
        series = catalogue().series(here)
        skips = series is not None and series.slurp and here + 2 <= target
        path.append(here + (2 if skips else 1))
    return path


def codename(number: int) -> str:
    """Return the name of a release by its number; the number itself if it is unknown."""
    series = catalogue().series(number)
    return series.codename if series else str(number)
