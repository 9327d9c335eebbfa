"""Outages: a full disk, a lost machine, a container that is gone, a database that is silent."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mysql.connector
import pytest
from docker.errors import NotFound

from lab.cloud import secrets
from lab.paths import ROOT
from lab.topology import ADMIN, DATABASE_PORT, HOST
from tests.scenarios import moments
from tests.scenarios.database_strikes import WAITING_S, metadata_lock, someone_waits
from tests.scenarios.fault import Preparation
from tests.scenarios.lab_nodes import INSTALL_SECONDS, SERVE_SECONDS, node, on_node, serves
from tests.scenarios.lab_state import PHASE_CONTAINERS
from tests.scenarios.scene import Scene, end_load, wait_for

DUMPED_TABLE = "keystone.whitelisted_config"
"""The last table of a dump; no request of the load asks for it."""

MARKS = "keystone_rollout.server_out"
DISK_KIB = 1 << 24
SILENT_SECONDS = 120.0
BALANCER_GONE_SECONDS = 3.0
PROFILE = "/home/rollout/.bashrc"
NOISE_WAS_HEARD = "/tmp/scenario-noise"
NOISE = rf"""
printf 'Welcome to \033[1;31mthe machine\033[0m\n\377\376 bytes\n'
printf '\033]0;title\007 warning: \303\n' >&2
touch {NOISE_WAS_HEARD}
"""


@contextmanager
def killed_while_dumping(scene: Scene) -> Iterator[None]:
    """End the run with SIGKILL while the dump waits for a table, half of it written."""
    with _connected() as connection:
        # Not earlier: the tables are summed up before.
        wait_for("a dump begins", lambda: bool(parts(scene)), WAITING_S, every=0.002)
        _lock(connection, DUMPED_TABLE)
        scene.wait_for("the dump waits", someone_waits, WAITING_S)
        scene.run.kill()
    yield


def parts(scene: Scene) -> list[str]:
    """Return the unfinished files of the backups' folder."""
    return [path.name for path in _backups(scene).glob("*.part")]


def nothing_unfinished(scene: Scene) -> Iterable[str]:
    """Return a finding for each half dump, and for each file with a database's password."""
    if left := parts(scene):
        yield f"left of a killed run: {', '.join(left)}"
    passwords = {secrets.load().database_admin, secrets.load().database_keystone}
    files = [*_backups(scene).glob("*"), *Path("/tmp").glob("*"), *_record(scene).rglob("*")]
    for path in files:
        if path.is_file() and path.stat().st_size < 1 << 20 and path.owner() == _me():
            text = path.read_bytes()
            if any(password.encode() in text for password in passwords):
                yield f"{path} has a password of the database"


@contextmanager
def container_removed_while_expand_waits(scene: Scene) -> Iterator[None]:
    """Remove the phase's container before expand's first DDL could begin."""
    with metadata_lock():
        scene.wait_for("expand waits for the lock", someone_waits, WAITING_S)
        for container in scene.client.containers.list(filters={"name": PHASE_CONTAINERS}):
            try:
                container.remove(force=True)
            except NotFound:
                pytest.fail("the phase had ended before its container was removed")
        scene.until(moments.step("expand", "failed"), 60)
        wait_for("nobody waits any more", lambda: not someone_waits(), WAITING_S)
    yield


@contextmanager
def machine_is_lost(scene: Scene) -> Iterator[None]:
    """End run and load with SIGKILL, and move away what they have left on this machine."""
    time.sleep(1)
    scene.run.kill()
    end_load(scene.run.directory)
    lost = scene.folder / "lost"
    lost.mkdir()
    shutil.move(_record(scene), lost)
    for path in _backups(scene).glob(f"{_record(scene).name}*"):
        shutil.move(path, lost)
    yield


@contextmanager
def noisy_login(scene: Scene) -> Iterator[None]:
    """Let keystone-1's profile greet on both streams, coloured, in no UTF-8, while it is out."""
    kept = f"{PROFILE}.scenario"
    on_node(
        scene.client,
        1,
        f"cp -p {PROFILE} {kept}; rm -f {NOISE_WAS_HEARD}\n"
        f"{{ printf %s {shlex.quote(NOISE)}; cat {kept}; }} > {PROFILE}",
    )
    try:
        scene.until(moments.node(node(1).name, "started"), INSTALL_SECONDS)
        on_node(scene.client, 1, f"test -e {NOISE_WAS_HEARD}")
    finally:
        on_node(scene.client, 1, f"mv {kept} {PROFILE}; rm -f {NOISE_WAS_HEARD}")
    yield


@contextmanager
def haproxy_gone_at_return(scene: Scene) -> Iterator[None]:
    """Let HAProxy's runtime API be unreachable when keystone-1 is proved and to be set ready."""
    scene.lines.haproxy.cut()
    try:
        scene.until(moments.node(node(1).name, "proved"), SERVE_SECONDS)
        time.sleep(BALANCER_GONE_SECONDS)
    finally:
        scene.lines.haproxy.restore()
    scene.until(moments.node(node(1).name, "up"), SERVE_SECONDS)
    yield


@contextmanager
def database_silent_then_cut_off(scene: Scene) -> Iterator[None]:
    """Let the database take connections and answer nothing until the run ends, then refuse them.

    Until a teardown has failed twice.
    """
    try:
        scene.lines.database.swallow()
        scene.wait_for("a teardown is tried", lambda: _tried(scene) > 0, SILENT_SECONDS)
        scene.lines.database.cut()
        scene.wait_for("it is tried again", lambda: _tried(scene) > 1, SERVE_SECONDS)
    finally:
        scene.lines.database.restore()
    yield


def _tried(scene: Scene) -> int:
    """Return how often one teardown has failed."""
    return max((event["tries"] for event in scene.run.events() if "tries" in event), default=0)


def report_says_tries(scene: Scene) -> Iterable[str]:
    """Return a finding unless the report's page says how many tries a teardown took."""
    page = (_record(scene) / "report.html").read_text()
    if not re.search(r"succeeded at try \d+, after \d+ s", page):
        yield "the report does not say how many tries a teardown took"


@contextmanager
def marks_do_not_answer(scene: Scene) -> Iterator[None]:
    """Lock the table of marks while keystone-2 is out: the database answers all but that."""
    with _connected() as connection:
        _lock(connection, MARKS)
        scene.until(moments.node(node(2).name, "installed"), INSTALL_SECONDS)
    yield


@contextmanager
def runs_on_a_disk_of_their_own(preparation: Preparation) -> Iterator[None]:
    """Put this run's record on a disk that has room until it is made smaller."""
    folder = preparation.folder / "runs"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    preparation.environment["ROLLOUT_RUNS"] = str(folder)
    yield
    # Its report is read until the lab is left; a tmpfs goes with its last user.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def disk_full_while_stopped(scene: Scene) -> Iterator[None]:
    """Leave no byte for the record from keystone-3's stop until it serves and the run gave up."""
    folder = scene.run.runs
    with scene.standing_still():
        _fill_page(_record(scene) / "events.jsonl")
        _resize(folder, None)
    try:
        wait_for("keystone-3 serves again", lambda: serves(3), INSTALL_SECONDS)
        wait_for("the run gives up", lambda: "is closed" in scene.run.log_text(), INSTALL_SECONDS)
    finally:
        _resize(folder, DISK_KIB)
    yield


def _fill_page(path: Path) -> None:
    """Let a file end with its page: a full disk still takes what fits into the last one."""
    begin, end = f'{{"kind": "note", "t": {time.time():.3f}, "text": "', '"}\n'
    lacking = -(path.stat().st_size + len(begin) + len(end)) % os.sysconf("SC_PAGESIZE")
    with path.open("a") as stream:
        stream.write(f"{begin}{'.' * lacking}{end}")


def _resize(folder: Path, kib: int | None) -> None:
    """Give a disk so much room; None: as much as is used. The load writes meanwhile."""
    for _ in range(20):
        used = sum(shutil.disk_usage(folder)[1:2]) // 1024
        size = f"remount,size={kib or used}k"
        done = subprocess.run(["mount", "-o", size, str(folder)], capture_output=True)
        if done.returncode == 0:
            return
    raise AssertionError(f"{folder} cannot be resized: {done.stderr.decode()}")


@contextmanager
def _connected() -> Iterator[Any]:
    connection = mysql.connector.connect(
        host=HOST, port=DATABASE_PORT, user=ADMIN, password=secrets.load().database_admin
    )
    try:
        yield connection
    finally:
        connection.close()


def _lock(connection: Any, table: str) -> None:
    """Lock a table for everybody else, until the connection is closed."""
    connection.cursor().execute(f"LOCK TABLES {table} WRITE")


def _backups(scene: Scene) -> Path:
    return ROOT / str(scene.cloud["backup_directory"])


def _record(scene: Scene) -> Path:
    assert scene.run.directory is not None
    return scene.run.directory


def _me() -> str:
    return Path("/proc/self").owner()
