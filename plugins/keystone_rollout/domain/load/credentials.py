"""The administrator's account that the load uses, and the passwords that derive from it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

PASSWORD_LENGTH = 32


@dataclass(frozen=True)
class KeystoneAccount:
    """The administrator's account; the load gets it in its environment only."""

    auth_url: str
    username: str
    password: str = field(repr=False)
    user_domain_name: str = "Default"
    project_name: str = "admin"
    project_domain_name: str = "Default"

    def environment(self) -> dict[str, str]:
        """Return the account as the OS_* variables that OpenStack's own clients read."""
        return {
            "OS_AUTH_URL": self.auth_url,
            "OS_USERNAME": self.username,
            "OS_PASSWORD": self.password,
            "OS_USER_DOMAIN_NAME": self.user_domain_name,
            "OS_PROJECT_NAME": self.project_name,
            "OS_PROJECT_DOMAIN_NAME": self.project_domain_name,
        }


def derive_password(key: str, name: str, generation: int) -> str:
    """Return the password of a load user at one generation.

    Nothing has to be stored: the load and the final check both derive it from the administrator's
    password (``key``), which each of them has anyway. ``generation`` starts at 0 and grows by one
    with every password change. The result is 32 URL-safe characters and tells nothing about
    ``key``. ValueError for an empty key or name, because it would give a guessable password.
    """
    if not key or not name:
        raise ValueError("derive_password needs a key and a user name, one of them is empty")
    if generation < 0:
        raise ValueError(f"password generation of {name} is {generation}, it starts at 0")
    message = f"{len(name)}:{name}:{generation}".encode()
    digest = hmac.new(key.encode(), message, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()[:PASSWORD_LENGTH]
