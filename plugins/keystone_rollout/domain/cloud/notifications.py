"""Describe who is notified of the events of a run, and by which way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import Field, model_validator

from keystone_rollout.domain.section import Section

Happening = Literal["started", "halted", "approval_needed", "rolled_back", "finished"]
HAPPENINGS: tuple[Happening, ...] = get_args(Happening)
Way = Literal["apprise", "smtp", "slack"]


class Notification(Section):
    """One receiver; the secret that it needs stays in the Airflow connection."""

    via: Way = Field(description="Airflow provider whose notifier is used")
    connection: str = Field(
        min_length=1,
        pattern=r"^[A-Za-z0-9_.-]+$",
        description="Airflow connection with address, account and password",
    )
    to: list[str] = Field([], description="mail addresses; needed for smtp, and for nothing else")
    events: list[Happening] = Field(
        list(HAPPENINGS), min_length=1, description="events to tell of; all if left out"
    )

    @model_validator(mode="after")
    def _addressed(self) -> Notification:
        if self.via == "smtp" and not self.to:
            raise ValueError("`to` is missing: allowed is a list of mail addresses")
        if self.via != "smtp" and self.to:
            raise ValueError(
                f"`to` is for smtp alone: where {self.via} goes is said by connection "
                f"{self.connection}"
            )
        return self


@dataclass(frozen=True)
class Message:
    """One notification as plain text; the subject is one line."""

    happening: Happening
    subject: str
    body: str
