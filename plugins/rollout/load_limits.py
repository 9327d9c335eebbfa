"""Hold the limits that the load is judged by."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LoadLimits(BaseModel):
    """Say how much the load may suffer before the upgrade stops.

    The defaults fit two cores that do everything: clients, proxy, database, three nodes and the
    upgrade itself. Measured there with the default profile: 60 requests/s and a p99 of 0.5 s at
    rest, 32/s and 1.5 s while packages are unpacked, 8/s and 4 s when other builds take the cores
    as well. Tighten them for a cloud with machines of its own.

    failure_budget
        failed requests allowed over the whole session, not per window.
    min_rate_fraction
        part of the profile's rate which must arrive; less means the load starves.
    p99_multiple, p99_floor_ms
        the 99th percentile of a window may reach the larger of multiple x baseline and the
        floor. The floor keeps a very fast baseline from turning a busy machine into an alarm.
    max_gap_seconds
        longest time without one successful request.
    window_seconds
        a window reaches back at least this far, so that a phase of a second is still judged on
        a number of requests that carries a percentile.
    window_min_samples
        below this many requests a percentile says nothing: the verdict is "not enough data".
    stale_after_seconds
        age of the newest sample from which the load counts as dead.
    min_requests
        requests of a whole session, judged at its end.
    baseline_seconds
        how long the undisturbed cloud is measured before anything changes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    failure_budget: int = Field(default=0, ge=0)
    min_rate_fraction: float = Field(default=0.1, gt=0, le=1)
    p99_multiple: float = Field(default=5.0, gt=1)
    p99_floor_ms: float = Field(default=3000.0, gt=0)
    max_gap_seconds: float = Field(default=10.0, gt=0)
    window_seconds: float = Field(default=15.0, ge=5)
    window_min_samples: int = Field(default=50, ge=10)
    stale_after_seconds: float = Field(default=10.0, ge=3)
    min_requests: int = Field(default=5000, ge=1)
    baseline_seconds: float = Field(default=20.0, ge=5)
