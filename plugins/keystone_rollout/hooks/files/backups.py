"""Find and check verified backups in a cloud's backup directory."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from pathlib import Path

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.recovery.backup import BackupFacts, read_facts
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.files.dumps import dump_problems, inside
from keystone_rollout.hooks.files.whole_file import whole_file


class BackupNotUsable(RuntimeError):
    """A backup that cannot be used, and why."""


class BackupStore:
    """The backups of a cloud, each with a description of its origin."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.folder = project_path(cloud.backup_directory)

    def describe(self, path: Path, facts: BackupFacts) -> None:
        """Write a backup's description, which only a verified one has."""
        with whole_file(path.with_suffix(".json")) as stream:
            stream.write(json.dumps(asdict(facts), indent=1, sort_keys=True).encode())

    def free_name(self, stem: str) -> str:
        """Return a name under which no verified backup would be overwritten.

        A task that is cleared after contract would otherwise replace the only way back.
        """
        for name in itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2))):
            if not (self.folder / f"{name}.json").exists():
                break
        return name

    def facts(self, path: Path) -> BackupFacts:
        """Return a backup's description; BackupNotUsable without one of this cloud."""
        description = path.with_suffix(".json")
        try:
            facts = read_facts(description.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BackupNotUsable(
                f"{path.name} was never verified by an upgrade: {description.name} says nothing "
                f"about it ({error})"
            ) from error
        ours = (self.cloud.name, self.cloud.databases.schema_name)
        if (facts.cloud, facts.schema) != ours:
            raise BackupNotUsable(
                f"{path.name} is of schema {facts.schema} of cloud {facts.cloud}, expected schema "
                f"{ours[1]} of cloud {ours[0]}"
            )
        return facts

    def find(self, name: str, release: str) -> Path:
        """Return the backup of a name, or the newest one that a release served from.

        Raises BackupNotUsable; without a name, the message lists why each backup was rejected.
        """
        if name:
            path = self.folder / name
            plain = Path(name).name == name and path.suffix == ".sql"
            if not plain or inside(self.folder, name) is None or not path.is_file():
                raise BackupNotUsable(f"{name!r} is not a backup in {self.folder}: {self._there()}")
            self._check_release(path, release)
            return path
        usable: list[tuple[float, Path]] = []
        reasons: list[str] = []
        for path in sorted(self.folder.glob("*.sql")):
            try:
                usable.append((self._check_release(path, release).taken, path))
            except BackupNotUsable as error:
                reasons.append(str(error))
        if not usable:
            raise BackupNotUsable(
                f"no backup in {self.folder} brings {release} back: "
                + ("; ".join(reasons) or "there is none")
            )
        return max(usable)[1]

    def judge(self, path: Path) -> Verdict:
        """Read a backup from its first to its last line."""
        problems = self.problems(path)
        measured = problems[:3] or [f"complete, {path.stat().st_size} bytes"]
        return Verdict(
            not problems, "backup file", path.name, "; ".join(measured),
            "one schema, complete, readable", "nothing was touched",
            "name another backup of this cloud with param backup",
        )  # fmt: skip

    def problems(self, path: Path) -> list[str]:
        """Return what is wrong with a dump of Keystone's schema, a backup or another."""
        return dump_problems(path, self.cloud.databases.schema_name)

    def _check_release(self, path: Path, release: str) -> BackupFacts:
        facts = self.facts(path)
        if not facts.served_by(release):
            raise BackupNotUsable(
                f"{path.name} was taken while the nodes were at {facts.nodes_in_words}: none "
                f"served {release} from it"
            )
        return facts

    def _there(self) -> str:
        return ", ".join(path.name for path in sorted(self.folder.glob("*.sql"))) or "there is none"
