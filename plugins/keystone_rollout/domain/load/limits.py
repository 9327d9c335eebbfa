"""The limits that the load is judged by."""

from __future__ import annotations

from pydantic import Field

from keystone_rollout.domain.section import Section


class LoadLimits(Section):
    """How much the load may suffer before the upgrade stops.

    The defaults fit two cores that do everything: clients, proxy, database, three nodes and the
    upgrade itself. Measured there with the default profile: 60 requests/s and a p99 of 0.5 s at
    rest, 32/s and 1.5 s while packages are unpacked, 8/s and 4 s when other builds take the cores
    as well. Tighten them for a cloud with machines of its own.
    """

    failure_budget: int = Field(
        default=0, ge=0, description="failed requests allowed over the whole run, not per window"
    )
    min_rate_fraction: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="part of the profile's rate which must arrive; less means the load starves",
    )
    p99_multiple: float = Field(
        default=5.0,
        gt=1,
        description="the 99th percentile of a window may reach this multiple of the baseline's, or "
        "p99_floor_ms, whichever is larger",
    )
    p99_floor_ms: float = Field(
        default=3000.0,
        gt=0,
        description="milliseconds up to which a 99th percentile is always good: it keeps a very "
        "fast baseline from turning a busy machine into an alarm",
    )
    max_gap_seconds: float = Field(
        default=10.0, gt=0, description="longest time without one successful request"
    )
    window_seconds: float = Field(
        default=15.0,
        ge=5,
        description="a window reaches back at least this far, so that a phase of a second is still "
        "judged on a number of requests that carries a percentile",
    )
    window_min_samples: int = Field(
        default=50,
        ge=10,
        description='requests below which a percentile says nothing: "not enough data"',
    )
    stale_after_seconds: float = Field(
        default=10.0,
        ge=3,
        description="age of the newest sample from which the load counts as dead",
    )
    min_requests: int = Field(
        default=5000, ge=1, description="requests of the whole run, judged at its end"
    )
    baseline_seconds: float = Field(
        default=20.0,
        ge=5,
        description="for how long the load is measured before anything changes, and again "
        "when a run is resumed",
    )
