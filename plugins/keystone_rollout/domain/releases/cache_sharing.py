"""Judge whether nodes of two releases may use the caches that their configurations name.

Keystone keeps tokens, users and assignments in memcached as its own release writes them. Most
neighbours read each other's entries. Those that do not need a memcached each; then a token that one
release revokes stays valid for the other until it expires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keystone_rollout.domain.cloud.keystone_conf import option_values
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.releases.release import own_cache_reasons
from keystone_rollout.domain.verdict import Verdict

DEFAULT_SERVERS = "localhost:11211"
DEFAULT_EXPIRATION_SECONDS = 600


@dataclass(frozen=True)
class Cache:
    """The memcached servers of one configuration, and the lifetime of an entry."""

    servers: frozenset[str]
    expiration_seconds: int = DEFAULT_EXPIRATION_SECONDS

    def __str__(self) -> str:
        return ", ".join(sorted(self.servers))


def cache_from_text(text: str) -> Cache:
    """Read the cache of a configuration's text; ValueError for an invalid number."""
    servers = option_values(text, "cache", "memcache_servers")
    seconds = option_values(text, "cache", "expiration_time")
    return cache_from_values(servers[-1] if servers else None, seconds[-1] if seconds else None)


def cache_from_values(servers: str | None, seconds: str | None) -> Cache:
    """Return the cache that two options describe; None stands for Keystone's default."""
    named = DEFAULT_SERVERS if servers is None else servers
    return Cache(
        frozenset(part.strip() for part in named.split(",") if part.strip()),
        DEFAULT_EXPIRATION_SECONDS if seconds is None else int(seconds),
    )


def judge_cache_sharing(cloud: Cloud, nodes: Mapping[str, Cache], target: Cache) -> Verdict:
    """Check that two releases share memcached only if they can.

    :param nodes: the caches of the nodes that still run the source release
    """
    reasons = own_cache_reasons(cloud.source_release, cloud.target_release)
    shared = sorted({each for cache in nodes.values() for each in cache.servers & target.servers})
    return Verdict(
        ok=not (reasons and shared),
        check="memcached",
        object="[cache] memcache_servers",
        measured=f"shared by both releases: {', '.join(shared)}" if shared else "none is shared",
        limit=f"none shared: {'; '.join(reasons)}" if reasons else "may be shared in this hop",
        consequence="nothing was touched",
        next_step=f"name another memcached in keystone.conf of {cloud.target}, in "
        f"{cloud.upgrade_container.configuration} and in the configuration that is sent to the "
        "nodes",
    )


def own_cache_cost(cloud: Cloud, nodes: Mapping[str, Cache], target: Cache) -> str | None:
    """Say what separate caches of the releases cost; None if they share one."""
    before = [cache for cache in nodes.values() if not cache.servers & target.servers]
    if not before:
        return None
    seconds = max(cache.expiration_seconds for cache in (*before, target))
    return (
        f"While both releases run, {cloud.source} uses memcached {before[0]} and {cloud.target} "
        f"uses {target}: neither empties the other's. What one of them revokes, disables or "
        f"deletes may stay valid on nodes of the other for up to {seconds} s ([cache] "
        "expiration_time)."
    )


def writes_that_fail(cloud: Cloud, windows: Sequence[str]) -> list[str]:
    """Return a sentence for each kind of request that fails by design in this hop."""
    hop = f"{cloud.source_release} → {cloud.target_release}"
    return [f"By design of {hop}, while it is under way: {window}." for window in windows]
