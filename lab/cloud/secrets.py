"""Passwords of the lab: made at first start, kept in ``.lab/secrets.json``, never committed."""

import json
import secrets
from dataclasses import asdict, dataclass, field, fields

from lab import paths
from machine.errors import CommandError
from machine.files import write_private


@dataclass(frozen=True)
class Secrets:
    """One password per account; ``seed_users`` is the key of all passwords of the lab's users."""

    database_root: str
    database_admin: str
    database_keystone: str
    database_reader: str
    keystone_admin: str
    seed_users: str = field(repr=False)


def generate() -> Secrets:
    """Return new passwords; letters and digits only, so that none needs quoting anywhere."""
    return Secrets(**{each.name: secrets.token_hex(16) for each in fields(Secrets)})


def ensure() -> Secrets:
    """Return the lab's passwords, made at first use; an older lab gets the new ones."""
    if paths.SECRETS.exists() and not _missing():
        return load()
    known = json.loads(paths.SECRETS.read_text()) if paths.SECRETS.exists() else {}
    write_private(paths.SECRETS, json.dumps(asdict(generate()) | known, indent=2) + "\n")
    return load()


def _missing() -> set[str]:
    """Return which passwords the file lacks; `load` reports a damaged file."""
    try:
        known = json.loads(paths.SECRETS.read_text())
    except ValueError:
        return set()
    return {each.name for each in fields(Secrets)} - set(known)


def load() -> Secrets:
    """Return the passwords of the lab that was set up."""
    if not paths.SECRETS.exists():
        raise CommandError(f"{paths.SECRETS} does not exist; run make lab first")
    try:
        return Secrets(**json.loads(paths.SECRETS.read_text()))
    except (TypeError, ValueError) as error:
        raise CommandError(
            f"{paths.SECRETS} is damaged: {error}; run make clean and start again"
        ) from error
