"""Faults of the database: a transaction in the way, a server that dies, a variable set back."""

from __future__ import annotations

import signal
import statistics
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import mysql.connector
import requests

from lab.cloud import database, secrets
from lab.data import seed
from lab.topology import ADMIN, DATABASE, DATABASE_CONTAINER, DATABASE_PORT, HOST, PUBLIC_URL
from tests.scenarios import moments
from tests.scenarios.scene import Scene

EXPANDED_TABLE = "trust"
"""The one table of Pike that Queens' expand alters."""

LOCK_WAIT_TIMEOUT_S = 5
"""Default of limits.lock_wait_timeout."""

QUEUE_ALLOWANCE_S = 2
ASK_EVERY_S = 0.3
WAITING_S = 15.0


@contextmanager
def metadata_lock(table: str = EXPANDED_TABLE) -> Iterator[None]:
    """Keep a transaction open that has read a table, so that nobody can alter the table."""
    connection = mysql.connector.connect(
        host=HOST,
        port=DATABASE_PORT,
        user=ADMIN,
        password=secrets.load().database_admin,
        database=DATABASE,
        autocommit=False,
    )
    try:
        cursor = connection.cursor()
        cursor.execute("START TRANSACTION")
        # An identifier cannot be a parameter; this one is ours.
        cursor.execute(f"SELECT 1 FROM `{table}` LIMIT 1")  # noqa: S608
        cursor.fetchall()
        yield
    finally:
        # The server may have died meanwhile, and the lock with it.
        with suppress(mysql.connector.Error):
            connection.close()


def someone_waits() -> bool:
    """Tell whether a statement waits for a metadata lock."""
    found = database.execute(
        "SELECT COUNT(*) FROM information_schema.processlist "
        "WHERE state = 'Waiting for table metadata lock'"
    )
    return bool(found[0][0])


@contextmanager
def killed_while_expand_waits(scene: Scene) -> Iterator[None]:
    """Hold up expand's first DDL, and end the run while its container waits for it."""
    with metadata_lock():
        scene.wait_for("expand waits for the lock", someone_waits, WAITING_S)
        scene.run.kill()
    yield


@dataclass
class ClientQueue:
    """Read the locked table as a client of Keystone does, again and again, and take the time."""

    seconds: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """List all trusts until told to stop; every answer but 200 is kept."""
        token = seed.api(secrets.load().keystone_admin).get_token()
        while not self._stop.wait(ASK_EVERY_S):
            began = time.monotonic()
            try:
                answer = requests.get(
                    f"{PUBLIC_URL}/OS-TRUST/trusts", headers={"X-Auth-Token": token}, timeout=60
                )
                if answer.status_code != 200:
                    self.refused.append(f"status {answer.status_code}")
            except requests.RequestException as error:
                self.refused.append(type(error).__name__)
            self.seconds.append(time.monotonic() - began)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask in a thread of its own while the block runs."""
        thread = threading.Thread(target=self.ask, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(90)

    def findings(self) -> Iterable[str]:
        """Return what is wrong with how long clients were queued, and whether that was seen."""
        limit = LOCK_WAIT_TIMEOUT_S + QUEUE_ALLOWANCE_S
        longest = max(self.seconds, default=0.0)
        if longest > limit:
            yield f"a client was queued for {longest:.1f} s, allowed are {limit} s"
        if longest < 1.0:
            median = statistics.median(self.seconds or [0.0])
            yield (
                f"no client was queued (longest answer {longest:.1f} s, median {median:.2f} s of "
                f"{len(self.seconds)}): the measurement proves nothing"
            )
        if self.refused:
            yield f"{len(self.refused)} clients were refused, the first: {self.refused[0]}"


@contextmanager
def long_transaction(scene: Scene) -> Iterator[None]:
    """Hold up expand's first DDL until the phase gives up; measure how long clients queue."""
    queue = ClientQueue()
    with queue.asking(), metadata_lock():
        scene.until(moments.step("expand", "failed"), 60)
    found = list(queue.findings())
    assert not found, "; ".join(found)
    yield


@contextmanager
def database_dies_while_expand_waits(scene: Scene) -> Iterator[None]:
    """Kill the database server before expand's first DDL could begin, and start it again."""
    container = scene.client.containers.get(DATABASE_CONTAINER)
    try:
        with metadata_lock():
            scene.wait_for("expand waits for the lock", someone_waits, WAITING_S)
            container.kill()
    finally:
        container.start()
    database.wait_until_ready()
    yield


@contextmanager
def locust_dies_and_variable_is_set_back(scene: Scene) -> Iterator[None]:
    """Kill the load, and set the variable back by hand, before the next gate looks at both."""
    database.execute("SET GLOBAL log_bin_trust_function_creators = 0")
    process = scene.load_process()
    assert process.runs(), "the load had ended before it was killed"
    process.end_group(signal.SIGKILL)
    yield


def contract_is(version: str) -> Iterable[str]:
    """Return a finding unless the schema's contract stands at a version."""
    found = database.schema_versions().get("keystone_contract")
    return [] if found == version else [f"contract stands at {found}, not at {version}"]
