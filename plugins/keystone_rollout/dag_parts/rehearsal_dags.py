"""List the rehearsal DAGs: one for each cloud that declares a rehearsal."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from cron_descriptor import ExpressionDescriptor, FormatException, MissingFieldException

from keystone_rollout.hooks.files.cloud_file import DeclaredRehearsal, declared_rehearsals

DAG_ID = "keystone_rehearsal"
DEFAULT_CLOUD = "lab"
"""The default of param cloud in every DAG of this project; its rehearsal DAG has no suffix."""
WRONG = "cloud file is wrong"


@dataclass(frozen=True)
class RehearsalDag:
    """The settings of one rehearsal DAG; ``problem`` says why it has no schedule."""

    dag_id: str
    cloud: str
    schedule: str | None
    description: str
    tags: list[str] = field(default_factory=list)
    problem: str = ""

    def page(self, text: str) -> str:
        """Return the DAG's page, which begins with ``problem`` if there is one."""
        if not self.problem:
            return text
        shown = self.problem.replace("```", "'''")
        return (
            f"**No schedule: nothing is rehearsed by itself.** Repair "
            f"`include/clouds/{self.cloud}.yaml`; the schedule is back at the next parse.\n\n"
            f"```\n{shown}\n```\n\n{text}"
        )


def rehearsal_dags() -> list[RehearsalDag]:
    """Return one DAG a cloud; the default cloud always has one, so that its id always exists."""
    return [_dag(each) for each in declared_rehearsals(DEFAULT_CLOUD)]


def _dag(declared: DeclaredRehearsal) -> RehearsalDag:
    cloud = declared.cloud
    suffix = re.sub(r"[^A-Za-z0-9_.-]", "_", cloud)  # file names allow more characters than DAG ids
    dag_id = DAG_ID if cloud == DEFAULT_CLOUD else f"{DAG_ID}_{suffix}"
    tags = ["keystone", "rehearsal"]
    if declared.problem:
        return RehearsalDag(
            dag_id, cloud, None, f"{WRONG}: {cloud}.yaml; see this DAG's page", [*tags, WRONG],
            declared.problem,
        )  # fmt: skip
    if declared.schedule is None:
        return RehearsalDag(dag_id, cloud, None, f"cloud {cloud} declares no rehearsal", tags)
    words = f"reset cloud {cloud} and upgrade it: {_in_words(declared.schedule)} UTC"
    return RehearsalDag(dag_id, cloud, declared.schedule, words, tags)


def _in_words(schedule: str) -> str:
    try:
        words = ExpressionDescriptor(schedule, use_24hour_time_format=True).get_description()
    except (FormatException, MissingFieldException):  # Airflow knows more expressions
        return schedule
    return str(words).lower()
