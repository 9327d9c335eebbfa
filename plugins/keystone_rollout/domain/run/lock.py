"""Judge who holds a cloud's upgrade lock: one upgrade per cloud at a time, wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass

from keystone_rollout.domain.run.witness import TAKE_UP_AGAIN
from keystone_rollout.domain.verdict import Verdict


@dataclass(frozen=True)
class RunIdentity:
    """One run among those of all DAGs and all Airflows; ``token`` is random, and no secret."""

    run_id: str
    dag: str = ""
    place: str = ""
    """Host and Airflow home of its first task."""
    token: str = ""


@dataclass(frozen=True)
class LockHolder:
    """The lock's row: the run, where it runs, since when, and how long it was silent."""

    run_id: str
    place: str
    """Host and Airflow home of the run."""
    since: str
    silent_seconds: int
    """By the database's clock; less than 0 if that was set back since."""
    dag: str = ""
    token: str = ""
    """Empty, as is ``dag``, if an earlier version of this project took the lock."""

    def is_run(self, run: RunIdentity) -> bool:
        """Tell whether it is this very run, and not another one of the same id."""
        # By its id, too: an earlier version that breaks this lock leaves the token in the row.
        return bool(run.token) and (run.run_id, run.token) == (self.run_id, self.token)

    def __str__(self) -> str:
        where = f"{self.dag} at {self.place}" if self.dag else self.place
        return f"held by run {self.run_id} of {where} since {self.since}, heartbeat {self._heard}"

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


def judge_held(cloud: str, holder: LockHolder | None, run: RunIdentity, released: bool) -> Verdict:
    """Return whether a run still holds the lock that it took.

    :param released: whether a teardown of this run released it
    """
    if holder is None and released:
        measured, next_step = "free: a teardown of this run released it", TAKE_UP_AGAIN
    else:
        measured = str(holder or "free: somebody else removed it")
        next_step = "find out who works on this cloud, then start a new run: it looks at everything"
    return Verdict(
        ok=holder is not None and holder.is_run(run),
        check="upgrade lock",
        object=cloud,
        measured=measured,
        limit=f"held by run {run.run_id}",
        consequence="two upgrades of one cloud would undo each other, so this one does not go on",
        next_step=next_step,
    )


def judge_lock(
    cloud: str, holder: LockHolder | None, run: RunIdentity, break_run: str, stale_seconds: int
) -> Verdict:
    """Judge whether a run may have the lock.

    ``break_run`` is the dead run whose lock the operator breaks deliberately. A lock with a
    heartbeat within ``stale_seconds`` cannot be broken: two upgrades at once are worse than a wait.
    One that lies further in the future shows no life: a run that lives would have renewed it.
    """
    if holder is None:
        measured, ok, next_step = "free", True, ""
    elif holder.is_run(run):
        measured, ok, next_step = f"{holder}, which is this run", True, ""
    elif holder.run_id != break_run:
        same_id = ", which is another run of the same id" if holder.run_id == run.run_id else ""
        measured, ok = f"{holder}{same_id}", False
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
