"""The rules for a run's end, and for every sentence that says how a cloud was left.

Those that hold at each moment are in `site`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from keystone_rollout.domain.run.events import Reported
from keystone_rollout.domain.run.systems import Record
from keystone_rollout.domain.schema.versions import Phase
from tests.simulation.site import (
    HEADS,
    ORIGINALS,
    SOURCE,
    SOURCE_HEAD,
    TARGET,
    SimulatedNode,
    Site,
)
from tests.simulation.walker import State

Broken = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Photo:
    """What a cloud was like at one moment."""

    nodes: Mapping[str, SimulatedNode]
    versions: Mapping[Phase, int]
    schemas: frozenset[str]
    told: Mapping[str, Mapping[str, str]]
    """What each balancer was told about each server."""

    def of(self, name: str, site: Site) -> tuple[object, ...]:
        """Return what makes a node's state: what it runs, and who sends requests to it.

        A server that a person has taken out meanwhile was not changed by the run.
        """
        node = self.nodes[name]
        ours = node.server not in site.by_person
        told = [servers[node.server] for servers in self.told.values() if ours]
        return (node.installed, node.configured, node.running, node.runs, *told)

    def all(self, site: Site) -> tuple[object, ...]:
        return (dict(self.versions), *(self.of(name, site) for name in self.nodes))


def photo(site: Site) -> Photo:
    told = {
        name: {server: each.admin for server, each in servers.items()}
        for name, servers in site.balancers.items()
    }
    nodes = {name: copy.copy(node) for name, node in site.nodes.items()}
    schemas = frozenset(name for name in site.schemas if "replaced" in name)
    return Photo(nodes, dict(site.live.versions), schemas, told)


@dataclass(frozen=True)
class Claim:
    """A sentence about how a cloud was left, and whether it is true."""

    pattern: str
    holds: Callable[[Site, Photo, Photo, re.Match[str]], bool]


def _untouched(site: Site, before: Photo, after: Photo, _match: re.Match[str]) -> bool:
    return before.all(site) == after.all(site)


def _node_untouched(site: Site, before: Photo, after: Photo, match: re.Match[str]) -> bool:
    return before.of(match[1], site) == after.of(match[1], site)


def _serves(site: Site, _before: Photo, _after: Photo, match: re.Match[str]) -> bool:
    return site.works(site.nodes[match[1]]) and match[1] in site.serving()


def _rolled_back(site: Site, before: Photo, after: Photo, match: re.Match[str]) -> bool:
    return site.nodes[match[1]].runs == match[2] and _serves(site, before, after, match)


def _not_moved(_site: Site, before: Photo, after: Photo, _match: re.Match[str]) -> bool:
    return before.schemas == after.schemas


def _is_out(site: Site, _before: Photo, _after: Photo, match: re.Match[str]) -> bool:
    return match[1] not in site.serving()


def _others_serve(site: Site, _before: Photo, _after: Photo, _match: re.Match[str]) -> bool:
    return len(site.serving()) >= site.cloud.limits.node.min_ready_servers


CLAIMS = [
    Claim(r"(keystone-\d) was left as it was found", _node_untouched),
    Claim(r"(keystone-\d) still serves \S+, nothing was installed", _serves),
    Claim(r"(keystone-\d) is ready and UP again", _serves),
    Claim(r"(keystone-\d) is rolled back to ([\d.]+\d), ready and UP", _rolled_back),
    Claim(r"(keystone-\d)(?: was not started.*It| ) serves as before", _node_untouched),
    Claim(r"(keystone-\d): [^;]* is OUT of rotation", _is_out),
    Claim(r"OUT of rotation, the others serve", _others_serve),
    Claim(r"(?i)nothing was (?:touched|changed)", _untouched),
    Claim(r"(?i)no table was moved", _not_moved),
    Claim(r"(?i)no server was taken out", _untouched),
]


def false_claims(site: Site, before: Photo, text: str) -> Broken:
    """Say which sentences of a task that failed are not true."""
    after = photo(site)
    for claim in CLAIMS:
        for match in re.finditer(claim.pattern, text):
            if not claim.holds(site, before, after, match):
                yield "false claim", f"it says {match[0]!r}, and that is not so: {text[:400]}"


@dataclass(frozen=True)
class Found:
    """What a run finds that an earlier one has left."""

    variables: Mapping[str, str]
    out: list[str]
    holder: str
    """Of the lock: a run that died before."""


def found_by(site: Site) -> Found:
    return Found(dict(site.variables), site.out(), site.lock[0] if site.lock else "")


def after_run(
    site: Site,
    record: Record,
    state: State | None,
    said: Mapping[str, str],
    found: Found,
) -> None:
    """Note every rule that a run has broken by the way it ended; ``state`` None: it died.

    :param said: what its failed tasks and those of the runs before have said, by their names
    :param found: what an earlier run had left: this one may not get as far as to mend it
    """
    rules = (
        _died(site, record.run_id, found) if state is None else _ended(site, record, said, found)
    )
    for kind, text in rules:
        site.violated(kind, f"{text}, after run {record.run_id} ({state or 'died'})")
    if state is State.FAILED and not said:
        site.violated("red without a reason", f"run {record.run_id} says nothing")


def _died(site: Site, run_id: str, found: Found) -> Broken:
    if site.lock is not None and site.lock[0] not in (run_id, found.holder):
        yield "lock", f"the lock is {site.lock}, which is nobody's who works"
    for name, value in site.variables.items():
        if value != ORIGINALS[name] and site.saved.get(name) != ORIGINALS[name]:
            yield "variable lost", f"{name} is {value}, its original is not kept"
    if site.is_outage():
        return
    for server in site.out():
        if server not in site.marks and server not in site.by_person:
            yield "forgotten server", f"{server} is out, and nothing says that a run did it"


def _ended(site: Site, record: Record, said: Mapping[str, str], found: Found) -> Broken:
    red = " ".join(said)
    ours = site.lock is not None and site.lock[0] == record.run_id
    if ours and "release_lock" not in red and "take_lock" not in red:
        yield "lock", f"it is still {site.lock}"
    for name, value in site.variables.items():
        task = "restore_isolation" if "isolation" in name else "restore_function_creators"
        left = value == found.variables[name] and site.saved.get(name) == ORIGINALS[name]
        if value != ORIGINALS[name] and task not in red and not left:
            yield "variable", f"{name} stays {value}, and no task said so"
    alive = [name for name, load in site.loads.items() if load.alive and record.run_id in name]
    if alive and "stop_load" not in red and "start_load" not in red:
        yield "load", "it still sends requests"
    words = " ".join(said.values())
    unsure = "Not every server may be in rotation" in words
    for server in site.out():
        # A teardown that is red and was killed says nothing, and the next run knows all the same.
        killed = "return_nodes" in red or "settle_servers" in red
        left = (server in found.out or killed) and (server in site.marks or site.is_outage())
        if not (left or unsure or server in site.by_person or server in words):
            yield "forgotten server", f"{server} is out, and no task said so"
    if record.last(Reported) is None and "write_report" not in red:
        yield "report", "there is none"


def reached(site: Site, dag_id: str) -> Broken:
    """Say what is missing after a run that is green."""
    release = TARGET if dag_id == "keystone_upgrade" else SOURCE
    for node in site.nodes.values():
        if node.runs != release or not site.works(node):
            yield "green without its goal", f"{node.name} has {node.runs}, expected {release}"
    if sorted(site.serving()) != sorted(site.nodes) and not site.by_person:
        yield "green without its goal", f"only {site.serving()} serve"
    versions = {
        "keystone_upgrade": HEADS,
        "keystone_rollback": {**HEADS, Phase.CONTRACT: SOURCE_HEAD},
        "keystone_restore": dict.fromkeys(Phase, SOURCE_HEAD),
    }[dag_id]
    if site.live.versions != versions:
        yield "green without its goal", f"the schema is at {site.live.versions}"
    yield from _clean(site)


def _clean(site: Site) -> Broken:
    if site.variables != ORIGINALS or site.saved:
        yield "green and not clean", f"variables {site.variables}, kept {site.saved}"
    if site.lock or site.marks or site.container:
        yield "green and not clean", f"left: {site.lock}, {site.marks}, {site.container}"
    if site.is_outage() or any("scratch" in name for name in site.schemas):
        yield "green and not clean", f"restores {site.restores}, schemas {list(site.schemas)}"
    alive = [name for name, load in site.loads.items() if load.alive]
    if alive:
        yield "green and not clean", f"loads {alive} still send requests"
