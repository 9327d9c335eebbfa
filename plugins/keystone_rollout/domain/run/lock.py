"""Judge who holds a cloud's upgrade lock: one upgrade per cloud at a time, wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass

from keystone_rollout.domain.verdict import Verdict


@dataclass(frozen=True)
class LockHolder:
    """The lock's row: the run, where it runs, since when, and how long it was silent."""

    run_id: str
    place: str
    """Host and Airflow home of the run."""
    since: str
    silent_seconds: int
    """By the database's clock; less than 0 if that was set back since."""

    def __str__(self) -> str:
        return (
            f"held by run {self.run_id} of {self.place} since {self.since}, heartbeat {self._heard}"
        )

    @property
    def _heard(self) -> str:
        if self.silent_seconds >= 0:
            return f"{self.silent_seconds} s ago"
        return f"{-self.silent_seconds} s in the future: the database's clock was set back since"


@dataclass(frozen=True)
class Mark:
    """The run and attempt that took a server out, and since when."""

    run_id: str
    attempt: str
    since: str


def judge_lock(
    cloud: str, holder: LockHolder | None, run_id: str, break_run: str, stale_seconds: int
) -> Verdict:
    """Judge whether a run may have the lock.

    ``break_run`` is the dead run whose lock the operator breaks deliberately. A lock with a
    heartbeat within ``stale_seconds`` cannot be broken: two upgrades at once are worse than a wait.
    One that lies further in the future shows no life: a run that lives would have renewed it.
    """
    if holder is None:
        measured, ok, next_step = "free", True, ""
    elif holder.run_id == run_id:
        measured, ok, next_step = f"{holder}, which is this run", True, ""
    elif holder.run_id != break_run:
        measured, ok = str(holder), False
        next_step = (
            "wait for that run to end. Only if it is dead for certain: start again with "
            f"break_lock={holder.run_id}, {stale_seconds} s after its last heartbeat or later"
        )
    elif abs(holder.silent_seconds) < stale_seconds:
        measured, ok = f"{holder}: it is alive", False
        next_step = f"end that run, or wait until it has been silent for {stale_seconds} s"
    else:
        measured, ok, next_step = f"{holder}; broken deliberately", True, ""
    return Verdict(
        ok=ok,
        check="upgrade lock",
        object=cloud,
        measured=measured,
        limit=f"free, or of a dead run named in break_lock and silent for {stale_seconds} s",
        consequence="two upgrades of one cloud would undo each other, so this one does not go on",
        next_step=next_step,
    )
