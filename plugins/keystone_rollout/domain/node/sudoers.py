"""Write the sudoers file of a node's account."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from keystone_rollout.domain.node.privileges import in_sudoers

FILE = "/etc/sudoers.d/keystone-rollout"

# No capital at the beginning: sudoers would take the name for an alias.
_ACCOUNT = re.compile(r"[a-z_][A-Za-z0-9_.-]*")


def sudoers_text(
    account: str, privileges: Sequence[str], command_seconds: float, title: str
) -> str:
    """Return a sudoers file that allows an account these privileges as root, and nothing else.

    A command that takes longer than ``command_seconds`` is ended by sudo (1.8.20 and later).
    Raises ValueError for a name that is none of an account, and for what is no privilege.
    """
    if not _ACCOUNT.fullmatch(account):
        raise ValueError(
            f"account {account!r} cannot be written into sudoers; allowed are letters, digits, "
            "_, . and -, the first one a small letter or _"
        )
    if not privileges:
        raise ValueError("there is no privilege to write; sudoers knows no empty list")
    commands = ", \\\n    ".join(in_sudoers(privilege) for privilege in privileges)
    return (
        f"# {title}\n"
        f"# Belongs into {FILE}, root:root 0440, after `visudo -cf` of it.\n"
        f"Cmnd_Alias KEYSTONE_ROLLOUT = \\\n    {commands}\n"
        "Defaults!KEYSTONE_ROLLOUT !requiretty, env_reset\n"
        f"{account} ALL=(root) TIMEOUT={math.ceil(command_seconds)} NOPASSWD: NOSETENV: "
        "KEYSTONE_ROLLOUT\n"
    )
