"""Describe the load: which actions, how often, by how many users."""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

from pydantic import Field, field_validator

from keystone_rollout.domain.section import Section

Action = Literal[
    "issue_token",
    "validate_token",
    "get_user",
    "list_users",
    "create_user",
    "authenticate_created_user",
    "change_password",
    "create_role_assignment",
    "list_role_assignments",
    "delete_user",
]
ACTIONS: tuple[Action, ...] = get_args(Action)

# A cloud mostly validates tokens and reads. Deleting a user, changing a password and assigning a
# role are rare there, too: each empties Keystone's caches of tokens and roles. One of them per
# second makes every request half as expensive again (Pike).
DEFAULT_WEIGHTS: dict[Action, int] = {
    "validate_token": 430,
    "get_user": 370,
    "list_role_assignments": 100,
    "issue_token": 60,
    "authenticate_created_user": 20,
    "list_users": 10,
    "create_user": 10,
    "create_role_assignment": 3,
    "change_password": 3,
    "delete_user": 4,
}


class LoadProfile(Section):
    """The amount of load; the load's process reads it as JSON."""

    rate: float = Field(
        default=60.0, gt=0, le=5000, description="actions per second of all clients together"
    )
    users: int = Field(default=20, ge=1, le=1000, description="concurrent clients")
    residents: int = Field(
        default=20,
        ge=2,
        le=500,
        description="users made at the start that issue the tokens which others validate",
    )
    weights: dict[Action, int] = Field(
        default_factory=lambda: dict(DEFAULT_WEIGHTS),
        json_schema_extra={"default": {str(name): each for name, each in DEFAULT_WEIGHTS.items()}},
        description="how often each action is chosen, relative to the others; empty: the default",
    )
    timeout: float = Field(default=30.0, gt=0, le=300, description="seconds per request")
    living_limit: int = Field(
        default=1000,
        ge=10,
        le=20000,
        description="how many created users exist at once, because at the end every living one is "
        "looked up and authenticated: from there on, a create becomes a login",
    )
    name_prefix: str = Field(
        default="load",
        pattern=r"^[a-z][a-z0-9-]{3,40}$",
        description="every object the load makes is named `<name_prefix>-...`, which is also what "
        "the clean-up goes by; a run sets one of its own",
    )

    @field_validator("weights")
    @classmethod
    def _some_weight(cls, weights: dict[Action, int]) -> dict[Action, int]:
        if not weights:
            return dict(DEFAULT_WEIGHTS)
        negative = sorted(name for name, weight in weights.items() if weight < 0)
        if negative:
            raise ValueError(f"weights of {', '.join(negative)} are negative, allowed is 0 or more")
        if not sum(weights.values()):
            raise ValueError("all weights are 0: at least one action needs a weight above 0")
        return weights

    def for_run(self, run_id: str) -> LoadProfile:
        """Return this profile with a name prefix of the run's own.

        The prefix is a digest of the run id, which may be too long for a user name and may hold
        characters that are not allowed in one.
        """
        digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
        return self.model_copy(update={"name_prefix": f"load-{digest}"})
