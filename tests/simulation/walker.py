"""Walk a DAG as Airflow's scheduler does, in memory: which task may run, and which never will.

The rules are those of Airflow 3.3 (`TriggerRuleDep`, `MappedTaskUpstreamDep`, `SkipMixin`), as far
as this project's DAGs use them; `test_walker.py` holds them against `dag.test()`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from airflow.sdk import DAG, TriggerRule
from airflow.sdk.definitions.mappedoperator import MappedOperator


class State(StrEnum):
    """An ended task's state, in Airflow's words."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"


RED = {State.FAILED, State.UPSTREAM_FAILED}


class Key(NamedTuple):
    """A task instance; the index is -1 if its task is not mapped, or not yet expanded."""

    task_id: str
    map_index: int = -1


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt: ``state`` None if the task asks to be tried again later."""

    state: State | None
    value: Any = None
    """Its XCom."""
    followed: frozenset[str] | None = None
    """The only tasks below it that are not skipped, if it is a branch."""


@dataclass(frozen=True)
class Place:
    """What a task's place in its DAG decides; Airflow works it out anew at each question."""

    task: Any
    mapped_over: str | None
    """The task whose list a mapped one is mapped over."""
    rule: Callable[[Above], State | bool]
    above: frozenset[str]
    setups: frozenset[str]
    """Those that are not right above it: it needs them, too."""
    scope: frozenset[str]
    """Of a teardown: everything between its setups and itself."""
    asking: set[str] = field(default_factory=set)
    """The tasks whose verdict hangs on its state."""


@cache
def places(dag: DAG) -> dict[str, Place]:
    """Return the place of each task of a DAG."""
    found = {task_id: _place(task) for task_id, task in dag.task_dict.items()}
    for task_id, place in found.items():
        over = {place.mapped_over} if place.mapped_over else set()
        for each in place.above | place.setups | place.scope | over:
            found[each].asking.add(task_id)
    return found


def _place(task: Any) -> Place:
    sources = task.iter_mapped_dependencies() if isinstance(task, MappedOperator) else ()
    setups = {each.task_id for each in task.get_upstreams_only_setups()} - task.upstream_task_ids
    scope: set[str] = set()
    if task.is_teardown:
        between = task.get_flat_relative_ids(upstream=True) - task.upstream_task_ids
        for each in task.upstream_list:
            if each.is_setup:
                scope |= between & each.get_flat_relative_ids(upstream=False)
    return Place(
        task,
        next((each.task_id for each in sources), None),
        RULES[TriggerRule(task.trigger_rule)],
        frozenset(task.upstream_task_ids),
        frozenset() if task.is_teardown else frozenset(setups),
        frozenset(scope),
    )


@dataclass
class Walk:
    """One run of a DAG.

    :param attempt: runs a task instance once
    :param choose: picks one of those that are ready; they are sorted
    :param states: what has ended already, if a run goes on after tasks were cleared
    """

    dag: DAG
    attempt: Callable[[Key], Outcome]
    choose: Callable[[list[Key]], Key]
    states: dict[Key, State] = field(default_factory=dict)
    values: dict[Key, Any] = field(default_factory=dict)
    followed: dict[str, frozenset[str]] = field(default_factory=dict)
    attempted: list[Key] = field(default_factory=list)
    places: dict[str, Place] = field(init=False)
    _asked: dict[str, list[Key]] = field(default_factory=dict)
    """Of each task the instances that may run, as of the last time that it was asked."""
    _changed: set[str] = field(default_factory=set)
    """The tasks that have to be asked again."""

    def __post_init__(self) -> None:
        self.places = places(self.dag)
        self._changed = set(self.places)

    def run(self, most_attempts: int = 100_000) -> State:
        """Go on until nothing is left to do; return the run's state.

        Raises RuntimeError if tasks are left of which none is ready, or after too many attempts.
        """
        while True:
            ready = self.ready()
            if not ready:
                break
            if len(self.attempted) >= most_attempts:
                raise RuntimeError(f"{most_attempts} attempts, and {ready} are still ready")
            self._attempt(self.choose(ready))
        left = [key for key in self._instances() if key not in self.states]
        if left:
            raise RuntimeError(f"deadlock: {left} can neither run nor be given up")
        return self.state()

    def ready(self) -> list[Key]:
        """Give up what can never run, then return what may run now."""
        while self._changed:
            asked, self._changed = self._changed, set()
            for task_id in asked:
                verdicts = {
                    key: self._verdict(key)
                    for key in self.instances(task_id)
                    if key not in self.states
                }
                self._asked[task_id] = [key for key, found in verdicts.items() if found is True]
                for key, found in verdicts.items():
                    if isinstance(found, State):
                        self._end(key, found)
        return sorted(key for keys in self._asked.values() for key in keys)

    def _end(self, key: Key, state: State) -> None:
        self.states[key] = state
        self._changed |= {key.task_id, *self.places[key.task_id].asking}

    def state(self) -> State:
        """Return the run's state, by its leaves as Airflow counts them."""
        leaves = {task_id for task_id in self.dag.task_dict if self._is_leaf(task_id)}
        red = any(s in RED for key, s in self.states.items() if key.task_id in leaves)
        return State.FAILED if red else State.SUCCESS

    def _is_leaf(self, task_id: str) -> bool:
        def counts(task: Any) -> bool:
            return not task.is_teardown or task.on_failure_fail_dagrun

        task = self.dag.task_dict[task_id]
        return counts(task) and not any(counts(each) for each in task.downstream_list)

    def _attempt(self, key: Key) -> None:
        self.attempted.append(key)
        outcome = self.attempt(key)
        if outcome.state is None:
            return
        self.values[key] = outcome.value
        if outcome.followed is not None:
            self.followed[key.task_id] = outcome.followed
        self._end(key, outcome.state)

    def _instances(self) -> Iterator[Key]:
        for task_id in self.dag.task_dict:
            yield from self.instances(task_id)

    def instances(self, task_id: str) -> list[Key]:
        """Return a task's instances: one, unless it is mapped over a list that is known."""
        source = self.places[task_id].mapped_over
        if source is not None and Key(task_id) not in self.states:
            above = Key(source)
            if self.states.get(above) is State.SUCCESS:
                return [Key(task_id, index) for index in range(len(self.values[above]))]
        return [Key(task_id)]

    def argument(self, key: Key) -> Any:
        """Return the value that a mapped instance is made with."""
        source = self.places[key.task_id].mapped_over
        assert source is not None
        return self.values[Key(source)][key.map_index]

    def _verdict(self, key: Key) -> State | bool:
        """Return whether an instance may run, or the state in which it is given up."""
        place = self.places[key.task_id]
        if any(
            key.task_id not in self.followed[each] for each in place.above & self.followed.keys()
        ):
            return State.SKIPPED
        if place.mapped_over is not None and key.map_index < 0:
            found = place.rule(self._above(place.above))
            return found if isinstance(found, State) else False
        held = self._setups(place)
        if held is not True:
            return held
        found = place.rule(self._above(place.above))
        if found is True and place.scope:
            return self._above(place.scope).ended
        return found

    def _setups(self, place: Place) -> State | bool:
        if not place.setups:
            return True
        above = self._above(place.setups)
        if above.red:
            return State.UPSTREAM_FAILED
        if above.count[State.SKIPPED]:
            return State.SKIPPED
        return above.count[State.SUCCESS] == above.all

    def _above(self, task_ids: Collection[str]) -> Above:
        keys = [key for task_id in task_ids for key in self.instances(task_id)]
        setups = [key for key in keys if self.places[key.task_id].task.is_setup]
        return Above(
            len(keys),
            Counter(self.states[key] for key in keys if key in self.states),
            [self.states.get(key) for key in setups],
        )


@dataclass(frozen=True)
class Above:
    """The states of the instances above a task."""

    all: int
    count: Counter[State]
    setups: list[State | None]

    @property
    def red(self) -> bool:
        """Tell whether one failed, or never ran because of one."""
        return bool(self.count[State.FAILED] or self.count[State.UPSTREAM_FAILED])

    @property
    def ended(self) -> bool:
        """Tell whether all have ended."""
        return self.count.total() >= self.all


def _all_success(above: Above) -> State | bool:
    if above.red:
        return State.UPSTREAM_FAILED
    if above.count[State.SKIPPED]:
        return State.SKIPPED
    return above.ended


def _none_failed_min_one_success(above: Above) -> State | bool:
    if above.red:
        return State.UPSTREAM_FAILED
    if above.count[State.SKIPPED] == above.all:
        return State.SKIPPED
    return above.ended


def _all_done(above: Above) -> State | bool:
    return above.ended


def _all_done_setup_success(above: Above) -> State | bool:
    if not above.ended:
        return False
    if above.setups and all(state is State.SKIPPED for state in above.setups):
        return State.SKIPPED
    if above.setups and State.SUCCESS not in above.setups:
        return State.UPSTREAM_FAILED
    return True


RULES: dict[TriggerRule, Callable[[Above], State | bool]] = {
    TriggerRule.ALL_SUCCESS: _all_success,
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: _none_failed_min_one_success,
    TriggerRule.ALL_DONE: _all_done,
    TriggerRule.ALL_DONE_SETUP_SUCCESS: _all_done_setup_success,
}
"""Those that this project's DAGs use; another one is a KeyError."""
