"""Load Keystone through its API, for Locust: wiring of the process, no action itself.

Run by ``python -m locust -f include/locust/keystone_load.py`` with the folder ``plugins`` on
PYTHONPATH. Reads OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_USER_DOMAIN_NAME, OS_PROJECT_NAME,
OS_PROJECT_DOMAIN_NAME, LOAD_PROFILE (JSON file), LOAD_DIRECTORY, LOAD_ALLOW_HOST and LOAD_TLS
(section `tls` of the cloud file, JSON).
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust import User, constant_throughput, events
from locust.env import Environment
from locust.runners import STATE_CLEANUP, STATE_INIT, STATE_STOPPED

from keystone_calls import KeystoneCalls
from keystone_rollout.domain.cloud.tls import Tls
from keystone_rollout.domain.load.profile import Action, LoadProfile
from keystone_rollout.domain.load.state import STATE_FILE, LoadState
from keystone_rollout.hooks.trust.certificates import TrustError, load_arguments
from load_setup import SetupFailed, prepare
from load_target import TargetRefused, check_target
from load_world import Administrator, World
from population import LoadUser, Population
from recorder import FailureWriter, Ledger, SampleWriter, StateWriter
from role_actions import create_role_assignment, list_role_assignments
from token_actions import issue_admin_token, issue_token, validate_token
from user_actions import (
    authenticate_created_user,
    change_password,
    create_user,
    delete_user,
    get_user,
    list_users,
)

LOG = logging.getLogger("keystone_load")
EXIT_SETUP_FAILED = 3
EXIT_TARGET_REFUSED = 4

OWN_WORDS = {STATE_INIT: "starting", STATE_CLEANUP: "stopping"}
"""Locust's states whose names say little; the others are LoadState's."""

Run = Callable[[KeystoneCalls, World, LoadUser], None]
ACTIONS: dict[Action, Run] = {
    "issue_token": issue_token,
    "validate_token": validate_token,
    "get_user": get_user,
    "list_users": list_users,
    "create_user": create_user,
    "authenticate_created_user": authenticate_created_user,
    "change_password": change_password,
    "create_role_assignment": create_role_assignment,
    "list_role_assignments": list_role_assignments,
    "delete_user": delete_user,
}

# A process started from a shell's background job inherits SIGINT ignored. From here on it ends
# the start, and from ``end_on_interrupt`` on the load.
signal.signal(signal.SIGINT, signal.default_int_handler)

AUTH_URL = os.environ["OS_AUTH_URL"]
DIRECTORY = Path(os.environ["LOAD_DIRECTORY"])
PROFILE = LoadProfile.model_validate_json(Path(os.environ["LOAD_PROFILE"]).read_text())
WORLD = World(
    profile=PROFILE,
    administrator=Administrator(
        name=os.environ["OS_USERNAME"],
        domain=os.environ["OS_USER_DOMAIN_NAME"],
        project=os.environ["OS_PROJECT_NAME"],
        project_domain=os.environ["OS_PROJECT_DOMAIN_NAME"],
        password=os.environ.pop("OS_PASSWORD"),
    ),
    ledger=Ledger(DIRECTORY / "ledger.jsonl"),
    session=secrets.token_hex(3),
    population=Population(PROFILE.living_limit),
)
TRUST: dict[str, Any] = {}
"""How connections are opened; filled in before the first one."""


def _task(name: Action, run: Run) -> Callable[[Any], None]:
    """Return the action as a Locust task; a crash of it counts as a failed request."""

    def task(user: KeystoneUser) -> None:
        try:
            if WORLD.admin_tokens.claim_renewal(time.time()):
                issue_admin_token(user.calls, WORLD)
            run(user.calls, WORLD, random.choice(WORLD.population.residents))
        except Exception as error:
            LOG.error("%s failed within the load itself: %s", name, type(error).__name__)
            user.calls.report_crash(name, "-", error)

    task.__name__ = name
    return task


class KeystoneUser(User):
    """A client that draws actions by weight, at its share of the profile's rate."""

    host = AUTH_URL
    wait_time = constant_throughput(PROFILE.rate / PROFILE.users)
    tasks = {_task(name, run): PROFILE.weights.get(name, 0) for name, run in ACTIONS.items()}

    def on_start(self) -> None:
        """Open the user's own connection, then begin at a moment of its own.

        Users start together and keep their pace: without this all of them would send at the same
        instant for ever, and the response times would be those of bursts.
        """
        self.calls = KeystoneCalls(self.environment, AUTH_URL, PROFILE.timeout, TRUST)
        gevent.sleep(random.uniform(0, PROFILE.users / PROFILE.rate))


def start_recording(environment: Environment, **_: Any) -> None:
    """Refuse a wrong target, then write down every request from the first one on."""
    try:
        options = environment.parsed_options
        host = options.host if options else None
        check_target(AUTH_URL, host, os.environ.get("LOAD_ALLOW_HOST"))
        tls = Tls.model_validate_json(os.environ.get("LOAD_TLS", "{}"))
        TRUST.update(load_arguments(tls, AUTH_URL))
    except (TargetRefused, TrustError) as refusal:
        LOG.error("%s", refusal)
        sys.exit(EXIT_TARGET_REFUSED)
    samples = SampleWriter(DIRECTORY / "samples.jsonl", time.time())
    failures = FailureWriter(DIRECTORY / "failures.jsonl")
    state = StateWriter(DIRECTORY / STATE_FILE)

    def users() -> int:
        return environment.runner.user_count if environment.runner else 0

    def own_word() -> str:
        word: str = environment.runner.state if environment.runner else STATE_INIT
        return OWN_WORDS.get(word, word)

    def on_request(
        request_type: str,
        name: str,
        response_time: float,
        exception: BaseException | None,
        response: Any,
        **_: Any,
    ) -> None:
        now = time.time()
        samples.request(name, response_time, ok=exception is None, now=now)
        if exception is not None:
            status = response.status_code if response is not None else 0
            failures.failure(now, name, request_type, status or 0, str(exception))

    def write_every_second() -> None:
        while True:
            now = time.time()
            gevent.sleep(1.0 - now % 1.0)
            samples.tick(time.time(), users())
            state.write(LoadState(own_word(), users(), time.time()))

    environment.events.request.add_listener(on_request)
    ticking = gevent.spawn(write_every_second)

    def write_the_rest(**_: Any) -> None:
        ticking.kill()
        samples.close(time.time(), users())
        state.write(LoadState("quit", users(), time.time()))

    environment.events.quit.add_listener(write_the_rest)


def end_on_interrupt(environment: Environment, **_: Any) -> None:
    """End the load on SIGINT as at the end of its time: users first, then the report.

    Python's own way raises KeyboardInterrupt in whatever runs at that moment: in the middle of a
    request, or where an exception is swallowed and the signal lost.
    """

    def end() -> None:
        runner = environment.runner
        if runner is not None and runner.state not in (STATE_CLEANUP, STATE_STOPPED):
            runner.quit()

    gevent.signal_handler(signal.SIGINT, end)


def make_residents(environment: Environment, **_: Any) -> None:
    """Make project, role and residents; end the process if that fails, because nothing works."""
    if WORLD.population.residents:
        return
    try:
        prepare(KeystoneCalls(environment, AUTH_URL, PROFILE.timeout, TRUST), WORLD)
    except SetupFailed as failure:
        LOG.error("the load cannot start: %s; see failures.jsonl", failure)
        sys.exit(EXIT_SETUP_FAILED)


events.init.add_listener(start_recording)
events.init.add_listener(end_on_interrupt)
events.test_start.add_listener(make_residents)
