"""Passwords and keys of Airflow's containers: made at first start, one file each, mode 600.

The containers read them as /run/secrets/<name>. Neither their environment nor their command line
holds one, and nothing here prints one.
"""

import json
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

from machine.errors import CommandError
from machine.files import write_private
from production import paths

USERS = {"admin": "admin", "operator": "op", "viewer": "viewer"}
"""Who may log in, and Airflow's role of each."""

REDIS_PORT = 6380
"""On 127.0.0.1; not Redis' default port, which another Redis on this machine may have."""

MADE = ("postgres_password", "fernet_key", "api_secret_key", "jwt_secret", "redis_password")
DERIVED = ("database_url", "broker_url", "result_backend")
NAMES = (*MADE, *DERIVED)
WORKER = ("broker_url", "result_backend")
"""The secrets of a worker."""

PASSWORD_LENGTH = 20
# Without characters that a human mistakes for others.
ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def ensure() -> list[str]:
    """Make missing files, and give every file its mode again; return the names of the new ones.

    An existing file is never changed: a new Fernet key would make every stored connection
    unreadable.
    Raises CommandError for a file that is empty or damaged.
    """
    paths.make_state_directories()
    before = {name for name in MADE if _file(name).exists()}
    for name in MADE:
        if name not in before:
            write_private(_file(name), _new(name))
    for name, text in _derived().items():
        write_private(_file(name), text)
    new_logins = _ensure_logins()
    for name in NAMES:
        _file(name).chmod(0o600)
    paths.PASSWORDS.chmod(0o600)
    return [name for name in MADE if name not in before] + new_logins


def require_worker_secrets() -> None:
    """Refuse if a worker's machine lacks the first machine's secrets.

    Nothing is made here, because it would differ from the first machine's.
    """
    paths.make_state_directories()
    missing = [str(_file(name)) for name in WORKER if not _file(name).exists()]
    if missing:
        raise CommandError(
            f"a worker needs {' and '.join(missing)}, which are missing; nothing was started. "
            "Next: copy them from .airflow/secrets of the machine that Airflow runs on"
        )
    for name in WORKER:
        _file(name).chmod(0o600)


def read_password(user: str) -> str:
    """Return the password of one of USERS."""
    return _read_logins()[user]


def _file(name: str) -> Path:
    return paths.SECRETS / name


def _new(name: str) -> str:
    # Letters and digits, so that none needs quoting in an address or in SQL.
    return Fernet.generate_key().decode() if name == "fernet_key" else secrets.token_hex(32)


def _read(name: str) -> str:
    text = _file(name).read_text().strip()
    if not text:
        raise CommandError(
            f"{_file(name)} is empty, expected the {name.replace('_', ' ')}; Airflow would start "
            "with none. Next: put it back from your copy, or remove the file to get a new one"
        )
    return text


def _derived() -> dict[str, str]:
    """Return the addresses that hold a password."""
    known = {name: _read(name) for name in MADE}
    redis = f"redis://:{known['redis_password']}@127.0.0.1:{REDIS_PORT}"
    return {
        "database_url": f"postgresql+psycopg://airflow:{known['postgres_password']}"
        "@/airflow?host=/run/postgresql",
        "broker_url": f"{redis}/0",
        "result_backend": f"{redis}/1",
    }


def _ensure_logins() -> list[str]:
    """Give a password to every user without one; Airflow would print one that it makes itself."""
    known = _read_logins() if paths.PASSWORDS.exists() else {}
    missing = [user for user in USERS if user not in known]
    for user in missing:
        known[user] = "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))
    if missing:
        write_private(paths.PASSWORDS, json.dumps(known, indent=1) + "\n")
    return [f"password of {user}" for user in missing]


def _read_logins() -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads(paths.PASSWORDS.read_text())
    except (OSError, ValueError) as error:
        raise CommandError(
            f"{paths.PASSWORDS} cannot be read as JSON: {error}. Next: put it back from your copy, "
            "or remove it to get new passwords"
        ) from error
    return known
