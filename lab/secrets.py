"""Passwords of the lab: made at first start, kept in ``.lab/secrets.json``, never committed."""

import json
import secrets
from dataclasses import asdict, dataclass, fields

from lab import paths
from lab.errors import LabError


@dataclass(frozen=True)
class Secrets:
    """One password per account."""

    database_root: str
    database_admin: str
    database_keystone: str
    database_reader: str
    keystone_admin: str


def generate() -> Secrets:
    """Return new passwords; letters and digits only, so that none needs quoting anywhere."""
    return Secrets(**{field.name: secrets.token_hex(16) for field in fields(Secrets)})


def ensure() -> Secrets:
    """Return the lab's passwords, making them at first use."""
    if not paths.SECRETS.exists():
        paths.write_private(paths.SECRETS, json.dumps(asdict(generate()), indent=2) + "\n")
    return load()


def load() -> Secrets:
    """Return the passwords of the lab that was set up."""
    if not paths.SECRETS.exists():
        raise LabError(f"{paths.SECRETS} does not exist; run make lab first")
    try:
        return Secrets(**json.loads(paths.SECRETS.read_text()))
    except (TypeError, ValueError) as error:
        raise LabError(
            f"{paths.SECRETS} is damaged: {error}; run make clean and start again"
        ) from error
