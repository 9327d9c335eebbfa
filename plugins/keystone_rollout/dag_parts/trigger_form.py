"""Make the params of the DAGs' trigger forms, with the values that each allows.

A value is checked twice: by the form, against these params, and by the cloud file's model, because
a run may also be started from a command line or by another DAG.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from keystone_rollout.domain.cloud.overrides import OVERRIDES
from keystone_rollout.domain.releases.catalogue import catalogue
from keystone_rollout.domain.releases.identity import IDENTITY_PATTERN, LONGEST_IDENTITY
from keystone_rollout.hooks.files.cloud_file import cloud_names

WHAT = "What to do"
LOAD = "Load and limits of this run"
DEAD_RUN = "After a run that died"
DEFAULT_CLOUD = "lab"
MAY_BE_EMPTY = ["null", "string"]
"""Airflow's form takes an empty text for a missing one, and then triggers nothing."""
RELEASE = rf"^(?:{IDENTITY_PATTERN})?(?![\s\S])"
"""Not `$`, which in Python also matches before a final newline."""
UPPER_BOUNDS = {"failure_budget": 1000, "p99_multiple": 100, "p99_floor_ms": 60000}
"""For limits that have no maximum in the model: a larger value is a typing error."""


def cloud_params(*, source: str, target: str) -> dict[str, Param]:
    """Return cloud, source and target; the texts say what the DAG does with the two releases."""
    names = cloud_names()
    default = DEFAULT_CLOUD if DEFAULT_CLOUD in names or not names else names[0]
    return {
        "cloud": Param(
            default, type="string", title="Cloud", enum=names or [default], section=WHAT,
            description_md="A file of `include/clouds` (or of the folder `ROLLOUT_CLOUDS`), "
            "without `.yaml`. Everything else comes from that file.",
        ),
        "source": _release("Source release", source),
        "target": _release("Target release", target),
    }  # fmt: skip


def _release(title: str, what: str) -> Param:
    return Param(
        "", type=MAY_BE_EMPTY, title=title, section=WHAT, pattern=RELEASE,
        maxLength=LONGEST_IDENTITY,
        examples=["", *(series.version for series in catalogue().releases)],
        description_md=f"{what}: a Keystone version such as `13.0.4`, `27.0.1.dev7` or "
        "`2:29.0.0-0ubuntu1.2`. Empty: the one in the cloud file.",
    )  # fmt: skip


def upgrade_params() -> dict[str, Param]:
    """Return the params of an upgrade beyond those of the cloud."""
    return {
        "action": Param(
            "upgrade", type="string", title="What to do", section=WHAT, enum=["upgrade", "check"],
            values_display={
                "upgrade": "Upgrade",
                "check": "Only plan and preflight, change nothing",
            },
            description_md="A check ends after *preflight*, which lists everything that is not "
            "ready; all later tasks are skipped.",
        ),
        "auto_approve": Param(
            False, type="boolean", title="Contract without asking", section=WHAT,
            description_md="*Contract* is the **point of no return**. Off: the run asks, and no "
            "answer in time is a rejection. On is for rehearsals.",
        ),
    }  # fmt: skip


def load_params() -> dict[str, Param]:
    """Return the params that replace values of the cloud file for one run; empty keeps them."""
    return {
        "load_rate": _number("load_rate", "Requests per second", "of all clients together"),
        "load_users": _number("load_users", "Clients", "that send requests at the same time"),
        "failure_budget": _number(
            "failure_budget", "Failed requests allowed", "in the whole run; one more stops it"
        ),
        "p99_multiple": _number(
            "p99_multiple", "p99 limit, times the baseline", "measured before anything changed"
        ),
        "p99_floor_ms": _number(
            "p99_floor_ms", "p99 that is always good, ms", "however quick the baseline was"
        ),
    }


def _number(name: str, title: str, what: str) -> Param:
    """Return an optional number with the bounds that the cloud file's model has for its key."""
    override = OVERRIDES[name]
    allowed = override.schema()
    bounds = {
        key: allowed[key] for key in ("minimum", "exclusiveMinimum", "maximum") if key in allowed
    }
    if name in UPPER_BOUNDS:
        bounds.setdefault("maximum", UPPER_BOUNDS[name])
    return Param(
        None, type=["null", allowed["type"]], title=title, section=LOAD, **bounds,
        description_md=f"{what[0].upper()}{what[1:]}. Empty: `{override.key}` of the cloud file "
        f"(its default is {allowed['default']:g}). The report names it as a deviation.",
    )  # fmt: skip


def lock_params() -> dict[str, Param]:
    """Return the param that breaks the lock of a run that died."""
    return {
        "break_lock": Param(
            "", type=MAY_BE_EMPTY, title="Break the lock of run", section=DEAD_RUN, maxLength=250,
            description_md="The id of the dead run, as *take_lock* or *preflight* names it. Its "
            "load is stopped, its servers are returned, then this run goes on. "
            "Empty: nobody's lock is broken.",
        )
    }  # fmt: skip


def restore_params() -> dict[str, Param]:
    """Return the params of a restore beyond those of the cloud."""
    return {
        "backup": Param(
            "", type=MAY_BE_EMPTY, title="Backup", section=WHAT, pattern=r"^[^/]*$",
            description_md="File name in the cloud's backup directory. "
            "Empty: the newest one that the source release served from.",
        ),
        "confirm": Param(
            "", type=MAY_BE_EMPTY, title="Confirmation", section=WHAT,
            description_md="The phrase that a run without it prints: it names the backup and "
            "bounds **how much is lost**. Empty: count, refuse, change nothing.",
        ),
    }  # fmt: skip


def rehearsal_params(cloud: str) -> dict[str, Param]:
    """Return the params of a rehearsal. Each cloud has a DAG of its own, with its own history."""
    return {
        "cloud": Param(
            cloud, type="string", title="Cloud", enum=[cloud], section=WHAT,
            description_md="The staging cloud that this DAG **resets** and upgrades.",
        ),
        "source": _release("Source release", "What staging is reset to"),
        "target": _release("Target release", "What staging is upgraded to"),
        "dump": Param(
            "", type=MAY_BE_EMPTY, title="Dump of production", section=WHAT,
            description_md="A file in `rehearsal.dump_directory` of the cloud file, of which the "
            "data is upgraded instead of what the reset leaves. Empty: `rehearsal.dump`.",
        ),
    }  # fmt: skip


def all_params(*parts: dict[str, Param]) -> dict[str, Any]:
    """Put the parts of a form together, in the order in which they are shown."""
    return {name: param for part in parts for name, param in part.items()}
