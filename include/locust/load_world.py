"""The objects that all users of the load share."""

from __future__ import annotations

from dataclasses import dataclass, field

from keystone_rollout.domain.load.credentials import derive_password
from keystone_rollout.domain.load.profile import LoadProfile
from population import AdminTokens, LoadUser, Population, TokenPool
from recorder import Ledger


@dataclass(frozen=True)
class Administrator:
    """The account that the load uses for everything that a plain user may not do."""

    name: str
    domain: str
    project: str
    project_domain: str
    password: str = field(repr=False)


@dataclass
class World:
    """The profile, the ids of the objects made at the start, and all users and tokens.

    ``session`` is part of every name: a load started again after it died must not meet the names
    of its predecessor.
    """

    profile: LoadProfile
    administrator: Administrator
    ledger: Ledger
    session: str
    population: Population
    admin_tokens: AdminTokens = field(default_factory=AdminTokens)
    tokens: TokenPool = field(default_factory=TokenPool)
    domain_id: str = ""
    project_id: str = ""
    role_id: str = ""
    created: int = 0

    def name(self, what: str) -> str:
        """Return the name of an object of this load process."""
        return f"{self.profile.name_prefix}-{self.session}-{what}"

    def next_user_name(self) -> str:
        """Return a user name that was never used before."""
        self.created += 1
        return self.name(str(self.created))

    def password(self, user: LoadUser) -> str:
        """Return the user's password at its present generation."""
        return derive_password(self.administrator.password, user.name, user.generation)
