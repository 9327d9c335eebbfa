"""Runs that are killed: the next one finds out what was left, goes on, and ends green.

One lab, from the source release to contract and back to the backup. At the end everything that
all of these runs have left is searched for secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from lab.cloud import database, nodes
from tests.scenarios import lab_state, moments
from tests.scenarios.aftermath import words_of
from tests.scenarios.campaign import Campaign
from tests.scenarios.command_lines import CommandLines
from tests.scenarios.database_strikes import contract_is, killed_while_expand_waits
from tests.scenarios.fault import Ends, Fault, Preparation
from tests.scenarios.lab_nodes import SOURCE, TARGET
from tests.scenarios.leaks import search, without_secrets
from tests.scenarios.node_strikes import session_dropped_during_install
from tests.scenarios.remains import image_histories, inspect_phases, lab_secrets, left_by
from tests.scenarios.run_strikes import killed, killed_a_moment_later, second_run_is_refused
from tests.scenarios.scene import Scene

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

START = lab_state.at_source
PHRASE = re.compile(r"restore \S+, losing at most \d+ writes")


def dropped_session_is_noted(scene: Scene) -> Iterable[str]:
    """Return a finding unless the record says that the session was dropped during install."""
    notes = [
        event["text"]
        for event in scene.run.events()
        if event["kind"] == "node" and event["node"] == "keystone-2" and event["state"] == "note"
    ]
    if not any("session dropped during install" in text for text in notes):
        yield f"no note of the dropped session, but {notes or 'none'}"


def upgraded(scene: Scene) -> Iterable[str]:
    """Return what is not at the target release, and what the killed runs should not have lost."""
    yield from _release_is(scene, TARGET)
    versions = database.schema_versions()
    for name in ("expand", "data_migrate", "contract"):
        if versions.get(f"keystone_{name}") != "44":
            yield f"{name} stands at {versions.get(f'keystone_{name}')}, not at 44"
    for state in nodes.read_states(scene.client):
        if state.neighbour != SOURCE:
            yield f"{state.node.name}: the neighbour package went to {state.neighbour}"


def restored(scene: Scene) -> Iterable[str]:
    """Return what is not as the backup and the source release were."""
    yield from _release_is(scene, SOURCE)
    yield from contract_is("24")


def _release_is(scene: Scene, release: str) -> Iterable[str]:
    for state in nodes.read_states(scene.client):
        if state.running != release:
            yield f"{state.node.name} runs {state.running or 'nothing'}, not {release}"


def asks_for_a_phrase(scene: Scene) -> Iterable[str]:
    """Return findings unless the refusal printed its phrase, and touched nothing."""
    if not PHRASE.search(words_of(scene.run)):
        yield "the refusal prints no phrase with which it would restore"
    yield from upgraded(scene)


@contextmanager
def confirmed(preparation: Preparation) -> Iterator[None]:
    """Say the phrase that the run before has asked for."""
    phrase = PHRASE.search(" ".join(preparation.last_words.split()))
    assert phrase, "the run before has not asked for a phrase"
    preparation.params["confirm"] = phrase[0]
    yield


def contracted() -> Iterable[str]:
    """Return a finding unless there is a contracted schema."""
    return contract_is("44")


FAULTS = [
    Fault(
        "1",
        "SIGKILL while expand runs",
        Ends.KILLED,
        moments.step("expand"),
        killed_while_expand_waits,
    ),
    Fault("2", "SIGKILL in migrate", Ends.KILLED, moments.step("migrate"), killed),
    Fault(
        "3",
        "SIGKILL while keystone-1 is installed",
        Ends.KILLED,
        moments.node("keystone-1", "stopped"),
        killed_a_moment_later,
    ),
    Fault(
        "24",
        "a second upgrade, from another Airflow",
        Ends.GOES_ON,
        moments.recorded("load_started"),
        second_run_is_refused,
    ),
    Fault(
        "5",
        "the SSH session of keystone-2 is cut during its install",
        Ends.GOES_ON,
        moments.node("keystone-2", "stopped"),
        session_dropped_during_install,
        afterwards=dropped_session_is_noted,
    ),
    Fault("4", "SIGKILL in contract", Ends.KILLED, moments.step("contract"), killed),
    Fault("4a", "the next run finishes", Ends.GREEN, afterwards=upgraded),
    Fault(
        "4b",
        "rollback after contract",
        dag="keystone_rollback",
        says=("after contract there is no way back", "keystone_restore"),
        needs=contracted,
        afterwards=upgraded,
    ),
    Fault(
        "4c",
        "restore without confirmation",
        dag="keystone_restore",
        needs=contracted,
        afterwards=asks_for_a_phrase,
    ),
    Fault(
        "4d",
        "restore of the verified backup",
        Ends.GREEN,
        prepare=confirmed,
        dag="keystone_restore",
        needs=contracted,
        afterwards=restored,
    ),
]


@pytest.fixture(scope="module", autouse=True)
def command_lines() -> Iterator[CommandLines]:
    """Look at every command line, and at every container of a phase, while the module runs."""
    with CommandLines(also=inspect_phases()) as lines:
        yield lines


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.title for fault in FAULTS])
def test_a_killed_run_is_taken_over(campaign: Campaign, fault: Fault) -> None:
    campaign.face(fault)


def test_no_secret_is_in_what_they_left(campaign: Campaign, command_lines: CommandLines) -> None:
    secrets = lab_secrets()
    assert len(secrets) >= 10, sorted(secrets)
    assert campaign.runs, "no run has left anything"
    seen = [
        (f"a command line or a container: {without_secrets(line, secrets)}", line)
        for line in command_lines.seen
    ]
    assert any(b"dags test" in line or b"lab.airflow.warm" in line for _, line in seen)
    assert any(b"keystone-manage" in line for _, line in seen), "no phase was seen"
    leaks = [
        *search(left_by(campaign.runs), secrets),
        *search(image_histories(campaign.client), secrets),
        *search(seen, secrets),
    ]
    assert leaks == [], "\n".join(str(leak) for leak in leaks)
