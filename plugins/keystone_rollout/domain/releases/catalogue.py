"""Read the catalogue of Keystone releases: catalogue.yaml beside this module."""

from __future__ import annotations

import pkgutil
from functools import cache
from typing import Annotated, Literal

import yaml
from pydantic import Field, model_validator

from keystone_rollout.domain.section import Section

Number = Annotated[int, Field(ge=10)]
VersionTable = Literal["migrate_version", "alembic_version"]


class Series(Section):
    """The facts about all versions of one release, such as 13 (Queens)."""

    number: Number
    codename: str
    name: str | None = None
    version: str
    pythons: list[str] = Field(min_length=1)
    on_pypi: bool = True
    api: str
    version_table: VersionTable
    contract_head: str
    token_flush: bool = False
    slurp: bool = False

    @property
    def release_name(self) -> str | None:
        """Return distributions' name of the release, such as queens or epoxy; None if unknown.

        Up to Zed that is the codename. Later ones are numbered, and named beside it.
        """
        return self.name or (self.codename.lower() if self.codename.isalpha() else None)


class Option(Section):
    """An option of the target's keystone.conf that a hop depends on."""

    section: str
    option: str
    value: str | None = None
    why: str

    def __str__(self) -> str:
        return f"[{self.section}] {self.option}" + (f" = {self.value}" if self.value else "")


class HopNeeds(Section):
    """The needs of one hop beyond the procedure that all hops share."""

    source: Number
    target: Number
    makes_triggers: bool = False
    read_committed: str | None = None
    own_cache: str | None = None
    configuration: list[Option] = []
    failing_writes: list[str] = []
    remarks: list[str] = []


class Catalogue(Section):
    """Every release, in order, and the hops with needs of their own."""

    releases: list[Series]
    hops: list[HopNeeds]

    @model_validator(mode="after")
    def _complete(self) -> Catalogue:
        numbers = [series.number for series in self.releases]
        if numbers != list(range(numbers[0], numbers[-1] + 1)):
            raise ValueError(f"releases have to follow each other without a gap; read {numbers}")
        for series in self.releases:
            if series.version.split(".")[0] != str(series.number):
                raise ValueError(f"{series.codename} is {series.number}, read {series.version}")
        return self

    def series(self, number: int) -> Series | None:
        """Return the release of that number, or None if it is unknown."""
        return next((each for each in self.releases if each.number == number), None)

    def needs(self, source: int, target: int) -> list[HopNeeds]:
        """Return the needs on the way from one number to another, skipped releases included."""
        return [hop for hop in self.hops if source <= hop.source and hop.target <= target]


@cache
def catalogue() -> Catalogue:
    """Return the catalogue; pydantic.ValidationError names the faults of its file."""
    content = pkgutil.get_data(__package__, "catalogue.yaml")
    assert content is not None, "catalogue.yaml is part of this package"
    return Catalogue.model_validate(yaml.safe_load(content))
