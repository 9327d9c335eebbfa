"""Derive the passwords of the users that the load creates."""

from __future__ import annotations

import base64
import hashlib
import hmac

PASSWORD_LENGTH = 32


def derive_password(key: str, name: str, generation: int) -> str:
    """Return the password of a load user at one generation.

    Nothing has to be stored: the load and the final check both derive it from the administrator's
    password (``key``), which each of them has anyway. ``generation`` starts at 0 and grows by one
    with every password change. The result is 32 URL-safe characters and tells nothing about
    ``key``. An empty key or name is a ValueError, because it would give a guessable password.
    """
    if not key or not name:
        raise ValueError("derive_password needs a key and a user name, one of them is empty")
    if generation < 0:
        raise ValueError(f"password generation of {name} is {generation}, it starts at 0")
    message = f"{len(name)}:{name}:{generation}".encode()
    digest = hmac.new(key.encode(), message, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()[:PASSWORD_LENGTH]
