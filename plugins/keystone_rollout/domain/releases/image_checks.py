"""Hold the checks that the target release brings with it, which run in the upgrade image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.releases.identity import Identity
from keystone_rollout.domain.schema.keystone_log import error_lines, symptoms, unaccepted


class Meaning(StrEnum):
    """What an exit status says; any status that a check does not list says that it broke off."""

    CLEAN = "nothing found"
    FOUND = "something found"


@dataclass(frozen=True)
class ImageCheck:
    """One check: how it is run, how its answer is read, and which findings are deliberate."""

    name: str
    """As gates, steps and messages call it."""
    arguments: tuple[str, ...]
    """What follows `keystone-manage`."""
    statuses: Mapping[int, Meaning]
    read: Callable[[Sequence[str]], list[str]]
    """Returns the findings of the lines that it printed."""
    finding: str
    """What one is called."""
    accepted: str
    """Key of the cloud file with the deliberate ones, each as a part of a finding."""
    consequence: str
    """What follows from a violation, and the next step."""
    since: int = 0
    """Number of the first release that has it."""
    until: int | None = None
    """Number of the first release that has it no more."""

    def is_in(self, release: Identity) -> bool:
        """Tell whether a release has this check."""
        return self.since <= release.major and (self.until is None or release.major < self.until)

    def violation(self, cloud: Cloud, status: int, lines: Sequence[str]) -> str | None:
        """Say what is wrong, by exit status, log and findings; None if all of it is accepted."""
        found, accepted = self.read(lines), attrgetter(self.accepted)(cloud)
        wrong = unaccepted(found, accepted) or error_lines(lines)[:1]
        meaning = self.statuses.get(status)
        if not wrong and (meaning is Meaning.CLEAN or (meaning is Meaning.FOUND and found)):
            return None
        return (
            f"{self.name}: exit status {status} ({meaning or 'it broke off'}), {len(found)} "
            f"{self.finding}(s), not accepted: {'; '.join(wrong) or 'unknown'}. {self.consequence}"
        )


DOCTOR = ImageCheck(
    name="doctor",
    arguments=("doctor",),
    statuses={0: Meaning.CLEAN, 1: Meaning.FOUND},
    read=symptoms,
    finding="symptom",
    accepted="doctor.accepted_symptoms",
    consequence="Nothing was changed. Next: repair the configuration, or accept the symptom in "
    "doctor.accepted_symptoms of the cloud file",
)

CHECKS = {each.name: each for each in (DOCTOR,)}
