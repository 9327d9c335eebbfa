"""The database server of a simulated cloud: schemas, variables, and the product's own tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from keystone_rollout.domain.recovery.backup import BackupFacts
from keystone_rollout.domain.recovery.restore import Downtime, OpenRestore
from keystone_rollout.domain.run.events import RestoreOutcome
from keystone_rollout.domain.run.lock import LockHolder, Mark, RunIdentity, judge_lock
from keystone_rollout.domain.schema.difference import Difference, TableDifference
from keystone_rollout.domain.schema.lock_waits import LockWaits
from keystone_rollout.domain.schema.versions import REPOSITORIES, Phase, RecordedVersions
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.database.lock_watch import LockWatchError
from keystone_rollout.hooks.database.variables import SavedVariable
from keystone_rollout.hooks.files.backups import BackupNotUsable
from tests.simulation.site import CREATORS, ISOLATION, RestoreRow, Site, Tables, token_of

Result = TypeVar("Result")
SCRATCH = "keystone_rollout_scratch"


class DatabaseGone(RuntimeError):
    """A statement that the server did not answer."""


class OnServer:
    """Whatever asks the database server."""

    system = "database"

    def __init__(self, site: Site) -> None:
        self.site = site

    def ask(self, call: str, act: Callable[[], Result], **options: Any) -> Result:
        return self.site.world.effect(self.system, call, act, DatabaseGone, **options)

    def write(self, call: str, act: Callable[[], Any], seconds: float = 0.02) -> None:
        self.ask(call, act, changes=True, seconds=seconds)


class SimulatedLock(OnServer):
    """The lock's row."""

    system = "lock"

    def __init__(self, site: Site, run: RunIdentity, break_run: str) -> None:
        super().__init__(site)
        self.run = run
        self.break_run = break_run

    def holder(self) -> LockHolder | None:
        return self.ask("read the lock", self._holder)

    def _holder(self) -> LockHolder | None:
        if self.site.lock is None:
            return None
        run_id, seen = self.site.lock
        silent = int(self.site.world.passed - seen)
        return LockHolder(run_id, "here", "a while ago", silent, token=token_of(run_id))

    def judge(self) -> Verdict:
        return self._judge(self.holder())

    def _judge(self, holder: LockHolder | None) -> Verdict:
        limits = self.site.cloud.limits
        return judge_lock(
            self.site.cloud.name, holder, self.run, self.break_run, limits.lock_stale_seconds
        )

    def take(self) -> tuple[Verdict, LockHolder | None]:
        holder = self.holder()
        verdict = self._judge(holder)
        if not verdict.ok or (holder and holder.is_run(self.run)):
            return verdict, None
        self.write("take the lock", lambda: self._set(holder))
        return self.judge(), holder

    def _set(self, expected: LockHolder | None) -> None:
        found = self._holder()
        if (found and found.run_id) == (expected and expected.run_id):
            self.site.lock = (self.run.run_id, self.site.world.passed)

    def keep_alive(self) -> None:
        self.write("renew the lock", self._renew)

    def _renew(self, seconds: float = 0.0) -> None:
        if self.site.lock and self.site.lock[0] == self.run.run_id:
            self.site.lock = (self.run.run_id, self.site.world.passed + seconds)

    def beat(self, seconds: float) -> None:
        """Let the heart of a living process beat while time passes: no effect of its own."""
        world = self.site.world
        if not world.dead and world.answers(self.system):
            self._renew(seconds)

    def release(self) -> bool:
        holder = self.holder()
        if holder is None or not holder.is_run(self.run):
            return False
        self.write("release the lock", self._release)
        return True

    def _release(self) -> None:
        if self.site.lock and self.site.lock[0] == self.run.run_id:
            self.site.lock = None


class SimulatedMarks(OnServer):
    """The servers that an upgrade took out."""

    def all(self) -> dict[str, Mark]:
        return self.ask("read the marks", lambda: dict(self.site.marks))

    def mark(self, server: str, run_id: str, attempt: str) -> None:
        self.write(
            f"mark {server}",
            lambda: self.site.marks.update({server: Mark(run_id, attempt, "a while ago")}),
        )

    def clear(self, server: str) -> None:
        self.write(f"clear the mark of {server}", lambda: self.site.marks.pop(server, None))


class SimulatedVariable(SavedVariable):
    """One global variable, handled by the product's own rules; its original is in the database."""

    needed: bool = True  # a plain value here

    def __init__(self, site: Site, name: str, wanted: str, needed: bool) -> None:
        self.site = site
        self.server = OnServer(site)
        self.name = name
        self.wanted = wanted
        self.needed = needed
        self.kept = self  # type: ignore[assignment]

    @property
    def _key(self) -> dict[str, str]:
        return {}

    def value(self) -> str:
        return self.server.ask(f"read {self.name}", lambda: self.site.variables[self.name])

    def original(self) -> str | None:
        return self.server.ask(
            f"read the original {self.name}", lambda: self.site.saved.get(self.name)
        )

    def write(self, statement: str, **given: str) -> None:
        """Run a statement on the table of originals."""
        if statement == "insert_saved_variable":
            self.server.write(
                f"save {self.name}",
                lambda: self.site.saved.setdefault(self.name, given["original"]),
            )
            return
        assert statement == "delete_saved_variable"
        self.server.write(f"forget {self.name}", lambda: self.site.saved.pop(self.name, None))

    def _write(self, value: str) -> None:
        self.server.write(
            f"set {self.name} to {value}", lambda: self.site.variables.update({self.name: value})
        )

    def judge(self) -> Verdict:
        measured = self.value()
        return Verdict(measured == self.wanted, self.name, "database", measured, self.wanted)


class SimulatedVariables:
    """The variables that a run holds."""

    def __init__(self, site: Site) -> None:
        self.function_creators = SimulatedVariable(site, CREATORS, "1", needed=True)
        self.read_committed = SimulatedVariable(
            site, ISOLATION, "READ-COMMITTED", site.cloud.holds_read_committed
        )


class SimulatedAccounts(OnServer):
    """Accounts that may do everything."""

    def lacking(self, connection: str, needed: tuple[str, ...], schema: str) -> list[str]:
        return self.ask("show grants", list)

    def has_any(self, connection: str, any_of: tuple[str, ...]) -> bool:
        return self.ask("show grants", lambda: True)

    def protects_triggers(self, connection: str) -> bool:
        return self.ask("show who may make triggers", lambda: False)


class SimulatedView(OnServer):
    """One schema, read as administrator."""

    def __init__(self, site: Site, schema: str) -> None:
        super().__init__(site)
        self.schema = schema

    def _tables(self) -> Tables:
        if self.schema not in self.site.schemas:
            raise DatabaseGone(f"unknown database {self.schema}")
        return self.site.schemas[self.schema]

    def versions(self) -> RecordedVersions:
        return self.ask(f"read the versions of {self.schema}", lambda: self._tables().recorded())

    def triggers(self) -> list[str]:
        return self.ask("read the triggers", lambda: ["one"] if self._tables().triggers else [])

    def views(self) -> list[str]:
        return self.ask("read the views", list)


class SimulatedWatch(OnServer):
    """A watch of locks for which nobody waits."""

    def __init__(self, site: Site, phase: str, lock_wait_timeout: int) -> None:
        super().__init__(site)
        self.waits = LockWaits(phase, lock_wait_timeout)

    def _poll(self) -> None:
        self.ask("look for waits", lambda: self.waits.look(self.site.world.passed, [], []))

    def __enter__(self) -> Self:
        try:
            self._poll()
        except DatabaseGone as error:
            raise LockWatchError(f"the sessions cannot be watched: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._poll()
        except DatabaseGone as error:
            self.waits.lose_sight(str(error))


class SimulatedReader(OnServer):
    """What SqlSensor asks."""

    def get_records(self, question: str, parameters: Mapping[str, Any]) -> list[tuple[int]]:
        phase = next(
            each for each, name in REPOSITORIES.items() if name == parameters["repository"]
        )
        return self.ask(
            f"is {phase.value} at its head",
            lambda: [(int(self.site.live.versions[phase] == parameters["head"]),)],
        )


class SimulatedSchema(SimulatedView):
    """Keystone's live schema."""

    def __init__(self, site: Site) -> None:
        super().__init__(site, "keystone")
        self.live = SimulatedView(site, "keystone")
        self.reader = SimulatedReader(site)

    def triggers(self) -> int:  # type: ignore[override]
        return self.ask("count the triggers", lambda: int(self.site.live.triggers))

    def size(self) -> int:
        return self.ask("read the size", lambda: 1 << 20)

    def table_sizes(self) -> dict[str, dict[str, Any]]:
        return self.ask("read the tables' sizes", dict)

    def writers(self) -> list[str]:
        return self.ask(
            "read the sessions", lambda: [n.name for n in self.site.nodes.values() if n.running]
        )

    def watch_locks(self, phase: str, lock_wait_timeout: int) -> SimulatedWatch:
        return SimulatedWatch(self.site, phase, lock_wait_timeout)


class SimulatedBackups(OnServer):
    """The verified backups; the files are empty, and what they hold is in memory."""

    system = "backups"

    def __init__(self, site: Site, folder: Path) -> None:
        super().__init__(site)
        self.folder = folder

    def free_bytes(self) -> int:
        return 1 << 40

    def client_missing(self) -> str | None:
        return None

    def free_name(self, stem: str) -> str:
        name, number = stem, 2
        while f"{name}.sql" in self.site.described:
            name, number = f"{stem}-{number}", number + 1
        return name

    def verify(self, name: str) -> tuple[Path, Verdict]:
        path = self.folder / f"{name}.sql"
        self.write("dump", lambda: self._dump(path), seconds=5.0)
        scratch = SimulatedScratch(self.site)
        with scratch.meanwhile(path):
            pass
        return path, Verdict(True, "backup", str(path), "identical", "identical")

    def _dump(self, path: Path) -> None:
        path.touch()
        self.site.backups[path.name] = self.site.live.copy(path.name)

    def describe(self, path: Path, facts: BackupFacts) -> None:
        self.write("describe", lambda: self.site.described.update({path.name: facts}))

    def facts(self, path: Path) -> BackupFacts:
        facts = self.site.described.get(path.name)
        if not isinstance(facts, BackupFacts):
            raise BackupNotUsable(f"{path.name} was never verified")
        return facts

    def find(self, name: str, release: str) -> Path:
        usable = [
            (facts.taken, path)
            for path, facts in self.site.described.items()
            if isinstance(facts, BackupFacts) and facts.served_by(release) and name in ("", path)
        ]
        if not usable:
            raise BackupNotUsable(f"no backup brings {release} back")
        return self.folder / max(usable)[1]

    def judge(self, path: Path) -> Verdict:
        return Verdict(True, "backup file", path.name, "complete", "complete")

    def problems(self, path: Path) -> list[str]:
        return []


class SimulatedSwap(OnServer):
    """The exchange of the live tables for the loaded ones, one effect a statement."""

    def __init__(self, site: Site, replaced: str) -> None:
        super().__init__(site)
        self.replaced = replaced

    def done(self) -> bool:
        return self.ask(
            "are the tables moved", lambda: self.site.schemas.get(self.replaced) is not None
        )

    def move(self) -> None:
        self.write("take the triggers away", self._drop_triggers)
        self.write("rename the tables", self._rename)

    def _drop_triggers(self) -> None:
        self.site.live.triggers = False
        self.site.schemas[SCRATCH].triggers = False

    def _rename(self) -> None:
        running = [node.name for node in self.site.nodes.values() if node.running]
        if running:
            self.site.violated("swap under writers", f"{', '.join(running)} may write")
        schemas = self.site.schemas
        schemas[self.replaced], schemas["keystone"] = schemas["keystone"], schemas.pop(SCRATCH)

    def finish(self) -> None:
        self.write("make the triggers again", lambda: self._make_triggers("keystone"))
        self.write("make the old triggers again", lambda: self._make_triggers(self.replaced))

    def _make_triggers(self, schema: str) -> None:
        if schema in self.site.schemas:
            self.site.schemas[schema].triggers = True

    def undo(self) -> None:
        if self.replaced in self.site.schemas:
            raise RuntimeError(f"{self.replaced} holds tables: there is nothing to undo")
        self.write("make the triggers again", lambda: self._make_triggers("keystone"))

    def drop_replaced(self) -> None:
        self.write("drop the moved tables", lambda: self.site.schemas.pop(self.replaced))


class SimulatedScratch(OnServer):
    """A backup that is loaded beside the live schema."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.schema = SimulatedView(site, SCRATCH)

    def load(self, path: Path) -> SimulatedView:
        self.drop()
        self.write("begin to load", lambda: self._load(path, complete=False))
        self.write("load", lambda: self._load(path, complete=True), seconds=5.0)
        return self.schema

    def _load(self, path: Path, complete: bool) -> None:
        loaded = self.site.backups[path.name].copy()
        loaded.loaded = path.name if complete else ""
        self.site.schemas[SCRATCH] = loaded

    @contextmanager
    def meanwhile(self, path: Path) -> Iterator[SimulatedView]:
        try:
            yield self.load(path)
        finally:
            self.drop()

    def loaded(self) -> str | None:
        def act() -> str | None:
            found = self.site.schemas.get(SCRATCH)
            return (found.loaded or None) if found else None

        return self.ask("which backup is loaded", act)

    def drop(self) -> None:
        self.write("drop the scratch schema", lambda: self.site.schemas.pop(SCRATCH, None))

    def differing(self, triggers: bool) -> list[str]:
        def act() -> list[str]:
            kept = self.site.schemas[SCRATCH]
            differ = triggers and kept.triggers != self.site.live.triggers
            return ["the trigger"] if differ else []

        return self.ask("compare the structures", act)

    def loss(self) -> Difference:
        def act() -> Difference:
            lost = self.site.live.rows - self.site.schemas[SCRATCH].rows
            return Difference((TableDifference("user", lost=max(lost, 0)),))

        return self.ask("count the rows that differ", act)

    def swap(self, replaced: str) -> SimulatedSwap:
        return SimulatedSwap(self.site, replaced)


class SimulatedRestores(OnServer):
    """The restores, each a row."""

    def _row(self, replaced: str) -> RestoreRow:
        return next(each for each in self.site.restores if each.replaced == replaced)

    def open(self) -> OpenRestore | None:
        def act() -> OpenRestore | None:
            rows = [each for each in self.site.restores if not each.outcome]
            if not rows:
                return None
            row = rows[-1]
            return OpenRestore(
                row.replaced, row.backup, row.began, row.swapped, row.lost, row.served, row.ended
            )

        return self.ask("read the open restore", act)

    def last_downtime(self) -> Downtime | None:
        return self.ask("read the last downtime", lambda: None)

    def begin(self, replaced: str, backup: str, run_id: str, began: float) -> None:
        row = RestoreRow(replaced, backup, run_id, began)
        self.write("begin a restore", lambda: self.site.restores.append(row))

    def _keep(self, replaced: str, name: str, value: Any) -> None:
        def act() -> None:
            row = self._row(replaced)
            if getattr(row, name) is None:
                setattr(row, name, value)

        self.write(f"keep {name}", act)

    def keep_lost(self, replaced: str, lost: Difference) -> None:
        self.write("keep lost", lambda: setattr(self._row(replaced), "lost", lost))

    def keep_swapped(self, replaced: str, at: float) -> None:
        self._keep(replaced, "swapped", at)

    def keep_served(self, replaced: str, at: float) -> None:
        self._keep(replaced, "served", at)

    def keep_ended(self, replaced: str, at: float) -> None:
        self._keep(replaced, "ended", at)

    def close(self, replaced: str, outcome: RestoreOutcome) -> None:
        self.write(
            f"close a restore: {outcome}",
            lambda: setattr(self._row(replaced), "outcome", str(outcome)),
        )


def phase_of(arguments: list[str]) -> Phase | None:
    """Return the phase that a command of keystone-manage runs."""
    return next((each for each in Phase if f"--{each.value}" in arguments), None)
