"""Tell one run from every other: a random token in its folder, with its DAG, run id and Airflow.

A run id is not enough: two DAGs have runs of one id, and so have two Airflows. The token is made
once, and every task of the run finds it again, a cleared one too.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from collections.abc import Iterator
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from keystone_rollout.domain.run.lock import RunIdentity

IDENTITY = "identity.json"
LONGEST = 200
"""Characters that the name of a second folder takes from the first's; a file system allows 255."""


class RunNotIdentified(RuntimeError):
    """Say why a run has no token, and what to do."""


def folder_name(run_id: str) -> str:
    """Return the name of a run's folder: one name, which never leads out of the folder of all."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", run_id)
    return re.sub(r"^\.+$", lambda dots: "_" * len(dots[0]), name) or "_"


def run_folder(runs: Path, run_id: str, dag: str = "") -> Path:
    """Return the folder of a DAG's run: named after its id, unless another run has that name.

    :param dag: empty for whichever run has the name
    """
    folder = runs / folder_name(run_id)
    try:
        owner = read_identity(folder) if dag else None
    except OSError:  # what cannot be read is nobody's to write either
        owner = None
    if owner is None or _key(owner) == _key(_here(run_id, dag)):
        return folder
    digest = sha256("\n".join(_key(_here(run_id, dag))).encode()).hexdigest()[:8]
    return folder.with_name(f"{folder.name[:LONGEST]}--{digest}")


def find_folder(runs: Path, run_id: str, token: str) -> Path | None:
    """Return the folder of the run that has a token, or None if it is not on this machine.

    :param token: empty for a run of an earlier version of this project, which had none
    """
    for folder in _folders(runs, folder_name(run_id)):
        owner = read_identity(folder)
        if folder.is_dir() and (owner.token if owner else "") == token:
            return folder
    return None


def _folders(runs: Path, name: str) -> Iterator[Path]:
    """Yield where a run may be; the others are listed only if it is not under its own name."""
    yield runs / name
    yield from sorted(runs.glob(f"{name[:LONGEST]}--*"))


def claim(folder: Path, run_id: str, dag: str) -> RunIdentity:
    """Return the identity that a folder holds; its first run makes it. OSError if it cannot."""
    part = folder / f"{IDENTITY}.{secrets.token_hex(4)}.part"
    identity = replace(_here(run_id, dag), token=secrets.token_hex(16))
    try:
        part.write_text(json.dumps(asdict(identity), sort_keys=True), encoding="utf-8")
        # Unlike a rename, this fails if another run was faster.
        (folder / IDENTITY).hardlink_to(part)
    except FileExistsError:
        return read_identity(folder) or identity
    finally:
        part.unlink(missing_ok=True)
    return identity


def read_identity(folder: Path) -> RunIdentity | None:
    """Return whose folder it is; None if nobody's yet, and nobody's token if it is damaged."""
    try:
        return RunIdentity(**json.loads((folder / IDENTITY).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return RunIdentity("")


def place() -> str:
    """Return where this process runs: host and Airflow home."""
    return f"{socket.gethostname()}:{os.environ.get('AIRFLOW_HOME', Path.home() / 'airflow')}"


def _here(run_id: str, dag: str) -> RunIdentity:
    return RunIdentity(run_id, dag, place())


def _key(identity: RunIdentity) -> tuple[str, str, str]:
    """Return what makes a run another one; its tasks may run on several hosts of one Airflow."""
    return identity.run_id, identity.dag, identity.place.partition(":")[2]
