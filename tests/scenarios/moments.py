"""Name the moments at which a fault strikes, by what the run has recorded until then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]
Events = list[Event]


@dataclass(frozen=True)
class Moment:
    """Say when something strikes: ``name`` for people, ``reached`` asks the events so far."""

    name: str
    reached: Callable[[Events], bool]

    def __str__(self) -> str:
        return self.name


def recorded(kind: str) -> Moment:
    """Return the moment at which an event of that kind is recorded."""
    return Moment(f"{kind} recorded", lambda events: any(event["kind"] == kind for event in events))


def step(name: str, state: str = "started") -> Moment:
    """Return the moment at which a step is started, finished or failed."""
    return Moment(
        f"step {name} {state}",
        lambda events: any(
            (event["kind"], event.get("step"), event.get("state")) == ("step", name, state)
            for event in events
        ),
    )


def node(name: str, state: str) -> Moment:
    """Return the moment at which a node's cycle notes a state, such as "stopped"."""
    return Moment(
        f"{name} {state}",
        lambda events: any(
            (event["kind"], event.get("node"), event.get("state")) == ("node", name, state)
            for event in events
        ),
    )


def violated(check: str) -> Moment:
    """Return the moment at which a gate finds a check violated."""
    return Moment(
        f"{check} found violated",
        lambda events: any(not verdict["ok"] for verdict in verdicts(events, check)),
    )


def is_ending(events: Iterable[Event]) -> bool:
    """Tell whether nothing but the run's end is left: a step has failed, or the load is stopped."""
    return any(
        event["kind"] == "load_stopped" or event.get("state") == "failed" for event in events
    )


def verdicts(events: Iterable[Event], check: str) -> Events:
    """Return all verdicts on one check, in the order in which they were recorded."""
    return [
        {**verdict, "gate": event["gate"], "t": event["t"]}
        for event in events
        if event["kind"] == "gate"
        for verdict in event["verdicts"]
        if verdict["check"] == check
    ]


def steps(events: Iterable[Event], state: str = "started") -> set[str]:
    """Return the names of the steps that reached a state."""
    return {
        event["step"] for event in events if event["kind"] == "step" and event["state"] == state
    }


def node_states(events: Iterable[Event], name: str) -> list[str]:
    """Return the states that a node went through, in their order."""
    return [event["state"] for event in events if event["kind"] == "node" and event["node"] == name]
