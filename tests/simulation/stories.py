"""Stories: a run on which faults strike, then clean runs until one is green; and what was broken.

Each is told again by its DAG, its seed and its strikes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from airflow.sdk import DAG

from tests.simulation.rules import after_run, found_by, reached
from tests.simulation.runs import Ended, Simulation, simulation
from tests.simulation.site import Violation
from tests.simulation.world import MACHINES, PERSON, Effect, Fault

UPGRADE, ROLLBACK, RESTORE = "keystone_upgrade", "keystone_rollback", "keystone_restore"
DAGS = (UPGRADE, ROLLBACK, RESTORE)
MOST_RUNS = 2
"""Clean runs after those on which faults strike."""
REPAIR_SECONDS = 400.0
"""Until a person starts the next run: a dead one's lock may be broken by then."""


@dataclass(frozen=True)
class Story:
    """What is told again exactly: number of an effect → the fault that strikes there."""

    dag_id: str
    strikes: tuple[tuple[int, Fault], ...] = ()
    seed: int = 0
    approves: bool = True

    def __str__(self) -> str:
        strikes = ", ".join(f"{number}: {fault}" for number, fault in self.strikes)
        return f"{self.dag_id}, seed {self.seed}, {strikes or 'no fault'}"


@dataclass
class Told:
    """How a story ended."""

    story: Story
    violations: list[Violation]
    effects: list[Effect]
    struck: list[tuple[Effect, Fault]]
    runs: list[Ended] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.story}: {'; '.join(f'{fault} at {e}' for e, fault in self.struck)}"]
        lines += [f"  {violation.kind}: {violation.text}" for violation in self.violations]
        return "\n".join([*lines, *(f"  run {run.run_id}: {run}" for run in self.runs)])


def tell(dags: dict[str, DAG], story: Story) -> Told:
    """Tell a story: run the DAG until a run on which nothing strikes has ended."""
    with simulation(dags, story.seed, dict(story.strikes)) as made:
        if story.dag_id != UPGRADE:
            made.was_upgraded(contracted=story.dag_id == RESTORE)
        told = Told(story, made.site.violations, made.world.effects, made.world.struck)
        _run_until_green(made, told)
        return told


def _run_until_green(made: Simulation, told: Told) -> None:
    last, clean, before = max((number for number, _ in told.story.strikes), default=-1), 0, ""
    said: dict[str, str] = {}
    while clean < MOST_RUNS:
        began = len(made.world.effects)
        found = found_by(made.site)
        named = made.site.lock[0] if made.site.lock else before  # as preflight says it
        ended = made.run_again(told.story.dag_id, f"run-{len(told.runs) + 1}", named)
        told.runs.append(ended)
        before = ended.run_id
        said |= {f"{key.task_id}_{key.map_index}": text for key, text in ended.said.items()}
        after_run(made.site, made.outside.record(ended.run_id), ended.state, said, found)
        if ended.green:
            for kind, text in reached(made.site, ended.dag_id):
                made.site.violated(kind, text)
            return
        clean += int(began > last)
        made.site.return_servers()
        made.world.advance(REPAIR_SECONDS)
    made.site.violated("no way on", f"{clean} clean runs were red, see the last one")


def effects_of(dags: dict[str, DAG], dag_id: str) -> list[Effect]:
    """Return the effects of a run on which nothing strikes."""
    return tell(dags, Story(dag_id)).effects


def one_fault(dag_id: str, effects: Iterable[Effect], faults: Iterable[Fault]) -> Iterator[Story]:
    """Return a story for each effect and each fault."""
    known = tuple(faults)
    for effect in effects:
        for fault in known:
            yield Story(dag_id, ((effect.number, fault),))


def random_story(seed: int, lengths: dict[str, int]) -> Story:
    """Return a schedule of two or three faults, in an order of tasks of its own.

    :param lengths: how many effects a run of each DAG has; a fault may strike the run after, too
    """
    dice = random.Random(seed)
    dag_id = dice.choice(DAGS)
    most = int(lengths[dag_id] * 1.5)
    numbers = sorted(dice.sample(range(most), dice.choice((2, 3))))
    return Story(dag_id, tuple((number, dice.choice(MACHINES)) for number in numbers), seed)


@dataclass(frozen=True)
class Case:
    """A story that broke a rule once: mended since, or known to break it still.

    The effect is the first one of its task whose call begins with ``call``.
    """

    name: str
    dag_id: str
    task: str
    call: str
    fault: Fault
    known: str = ""
    """The kind of rule that it still breaks; empty: none any more."""
    at: str = ""
    """The beginning of the call at which its own story strikes, of all that it covers."""

    def covers(self, effect: Effect, fault: Fault) -> bool:
        """Tell whether a strike is of this case."""
        return (
            effect.task.startswith(self.task)
            and effect.call.startswith(self.call)
            and fault is self.fault
        )

    def story(self, effects: Iterable[Effect]) -> Story:
        """Return the story; StopIteration if a run has no such effect any more."""
        number = next(
            each.number
            for each in effects
            if self.covers(each, self.fault) and each.call.startswith(self.at)
        )
        return Story(self.dag_id, ((number, self.fault),))


CASES = (
    Case("a lock that is not released turns the run red", UPGRADE, "release_lock", "release",
         Fault.FAILS_ONCE),
    Case("a lock that is not released turns a rollback red", ROLLBACK, "release_lock", "release",
         Fault.FAILS_ONCE),
    Case("a lock that is not released turns a restore red", RESTORE, "release_lock", "release",
         Fault.FAILS_ONCE),
    Case("a variable that is not reset turns the run red", UPGRADE, "restore_function_creators",
         "set log_bin_trust_function_creators to 0", Fault.FAILS_ONCE),
    Case("a variable is reset although the answer to its setting was lost", UPGRADE,
         "set_function_creators", "set log_bin_trust_function_creators to 1", Fault.HANGS),
    Case("a variable is reset although its setting was killed", UPGRADE, "set_function_creators",
         "set log_bin_trust_function_creators to 1", Fault.MARKED_FAILED),
    Case("the next run stops a load that its own run could not stop", ROLLBACK, "load.stop_load",
         "stop the load", Fault.FAILS_A_MINUTE),
    Case("the next run stops a load whose start was killed", ROLLBACK, "load.start_load",
         "wait until the load is served", Fault.TASK_KILLED),
    Case("a state that HAProxy took, and did not say so, is no person's", UPGRADE,
         "nodes.upgrade_node_0", "set server keystone/keystone-2 state maint", Fault.HANGS),
    Case("a variable is reset only after the migration whose Docker was away", UPGRADE,
         "database.expand", "read the container's log", Fault.FAILS_A_MINUTE),
    *(
        Case(f"{dag_id}: a person's maint over its own cannot be told", dag_id, "nodes.", "",
             Fault.TAKEN_OUT, known="decision overridden", at="install")
        for dag_id in (UPGRADE, ROLLBACK)
    ),
    *(
        Case(f"{dag_id}: a person is quicker than drain, between the look and the word", dag_id,
             "nodes.", "", Fault.ANOTHER_TAKEN_OUT, known="decision overridden",
             at="set server keystone/keystone-2 state drain")
        for dag_id in (UPGRADE, ROLLBACK)
    ),
    *(
        Case(f"a restore takes all servers out: {whose} maint of a person over it cannot be told",
             RESTORE, "", "", fault, known="decision overridden", at="install")
        for fault, whose in zip(PERSON, ("a", "another"), strict=True)
    ),
    Case("a server that a person takes out just before its drain is left alone", UPGRADE,
         "nodes.upgrade_node_0", "mark keystone-2", Fault.ANOTHER_TAKEN_OUT),
)  # fmt: skip


def known_of(told: Told) -> Case | None:
    """Return the case that says that a story's violations are known."""
    kinds = {violation.kind for violation in told.violations}
    return next(
        (
            case
            for case in CASES
            if {case.known} == kinds
            and case.dag_id == told.story.dag_id
            and any(case.covers(effect, fault) for effect, fault in told.struck)
        ),
        None,
    )
