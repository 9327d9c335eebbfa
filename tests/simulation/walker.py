"""Walk a DAG as Airflow's scheduler does, in memory: which task may run, and which never will.

The rules are those of Airflow 3.3 (`TriggerRuleDep`, `MappedTaskUpstreamDep`, `SkipMixin`), as far
as this project's DAGs use them; `test_walker.py` holds them against `dag.test()`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
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
        while True:
            verdicts = {
                key: self._verdict(key) for key in self._instances() if key not in self.states
            }
            given_up = {key: found for key, found in verdicts.items() if isinstance(found, State)}
            if not given_up:
                return sorted(key for key, found in verdicts.items() if found)
            self.states |= given_up

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
        self.states[key], self.values[key] = outcome.state, outcome.value
        if outcome.followed is not None:
            self.followed[key.task_id] = outcome.followed

    def _instances(self) -> Iterator[Key]:
        for task_id in self.dag.task_dict:
            yield from self.instances(task_id)

    def instances(self, task_id: str) -> list[Key]:
        """Return a task's instances: one, unless it is mapped over a list that is known."""
        task = self.dag.task_dict[task_id]
        if isinstance(task, MappedOperator) and Key(task_id) not in self.states:
            sources = [Key(each.task_id) for each in task.iter_mapped_dependencies()]
            if all(self.states.get(source) is State.SUCCESS for source in sources):
                return [Key(task_id, index) for index in range(len(self.values[sources[0]]))]
        return [Key(task_id)]

    def argument(self, key: Key) -> Any:
        """Return the value that a mapped instance is made with."""
        task = self.dag.task_dict[key.task_id]
        assert isinstance(task, MappedOperator)
        source = next(iter(task.iter_mapped_dependencies()))
        return self.values[Key(source.task_id)][key.map_index]

    def _verdict(self, key: Key) -> State | bool:
        """Return whether an instance may run, or the state in which it is given up."""
        task = self.dag.task_dict[key.task_id]
        if any(key.task_id not in self.followed[each] for each in self._branches(task)):
            return State.SKIPPED
        if isinstance(task, MappedOperator) and key.map_index < 0:
            return self._unexpanded(task)
        if not task.is_teardown:
            held = self._setups(task)
            if held is not True:
                return held
        found = RULES[TriggerRule(task.trigger_rule)](self._above(task.upstream_task_ids))
        if found is True and task.is_teardown:
            return self._scope_ended(task)
        return found

    def _branches(self, task: Any) -> Iterator[str]:
        return (each for each in task.upstream_task_ids if each in self.followed)

    def _unexpanded(self, task: MappedOperator) -> State | bool:
        above = self._above(task.upstream_task_ids)
        found = RULES[TriggerRule(task.trigger_rule)](above)
        return found if isinstance(found, State) else False

    def _setups(self, task: Any) -> State | bool:
        """Judge the setups that are not right above a task: it needs them, too."""
        indirect = {each.task_id for each in task.get_upstreams_only_setups()}
        above = self._above(indirect - task.upstream_task_ids)
        if above.red:
            return State.UPSTREAM_FAILED
        if above.count[State.SKIPPED]:
            return State.SKIPPED
        return above.count[State.SUCCESS] == above.all

    def _scope_ended(self, task: Any) -> bool:
        """Tell whether everything between a teardown's setups and itself has ended."""
        above = task.get_flat_relative_ids(upstream=True) - task.upstream_task_ids
        for each in task.upstream_list:
            if each.is_setup:
                scope = above & each.get_flat_relative_ids(upstream=False)
                if not self._above(scope).ended:
                    return False
        return True

    def _above(self, task_ids: set[str]) -> Above:
        keys = [key for task_id in task_ids for key in self.instances(task_id)]
        setups = [key for key in keys if self.dag.task_dict[key.task_id].is_setup]
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
