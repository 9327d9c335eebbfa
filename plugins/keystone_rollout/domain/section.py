"""A part of a file that people write."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Refuse keys nobody reads, so that a typo is an error and not a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)
