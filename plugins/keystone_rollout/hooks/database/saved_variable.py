"""Hold a global variable of the database server for the run, and bring its original value back.

The original is kept in the database itself: a run that was killed leaves it there, so that the
next one restores what the operator had and not what the killed run had set.
"""

from __future__ import annotations

from functools import cached_property

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.database.keystone import KeystoneDatabase
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.hooks.database.version_reader import text

SWITCH = {"OFF": "0", "ON": "1"}


class SavedVariable:
    """Handle one variable on the one server that the migrations use; subclasses say which."""

    names: tuple[str, ...]
    """What servers call it; the first one that this server knows is taken."""
    wanted: str
    consequence: str

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.database = KeystoneDatabase(cloud)
        self.admin = self.database.administrator

    @property
    def needed(self) -> bool:
        """Tell whether this upgrade needs the variable changed at all."""
        return True

    @cached_property
    def name(self) -> str:
        """Return the server's name for it; LookupError where it knows none."""
        for name in self.names:
            if self._read(name) is not None:
                return name
        raise LookupError(
            f"{self.database.server()} knows no variable {' or '.join(self.names)}. Next: check "
            f"which server connection {self.cloud.databases.administrator} reaches"
        )

    def value(self) -> str:
        """Return the server's present value; a switch is "0" or "1"."""
        value = self._read(self.name)
        assert value is not None
        return value

    def original(self) -> str | None:
        """Return the value that was saved before it was set; None where it is not set by us."""
        self._prepare()
        row = self.admin.get_first(sql("select_saved_variable"), self._key)
        return None if row is None else text(row[0])

    def set(self, run_id: str) -> str:
        """Save the original once, set the variable, look again; return the original."""
        if self.original() is None:
            self.admin.run(
                sql("insert_saved_variable"),
                parameters={**self._key, "original": self.value(), "run_id": run_id},
                autocommit=True,
            )
        self._write(self.wanted)
        original = self.original()
        assert original is not None
        return original

    def restore(self) -> str | None:
        """Bring the original back and forget it; None where nothing was saved."""
        original = self.original()
        if original is None:
            return None
        self._write(original)
        self.admin.run(sql("delete_saved_variable"), parameters=self._key, autocommit=True)
        return original

    def judge(self) -> Verdict:
        """Check that the variable is what the phases need, while it is ours to hold."""
        measured = self.value()
        return Verdict(
            ok=measured == self.wanted,
            check=self.name,
            object=self.database.server(),
            measured=measured,
            limit=f"{self.wanted} from before expand until after contract",
            consequence=self.consequence,
            next_step="find out who set it back, then start the upgrade again: it sets it to "
            f"{self.wanted}",
        )

    @property
    def _key(self) -> dict[str, str]:
        return {"server": self.database.server(), "name": self.name}

    def _read(self, name: str) -> str | None:
        row = self.admin.get_first(sql("show_global_variable"), {"name": name})
        return None if row is None else SWITCH.get(text(row[1]), text(row[1]))

    def _write(self, value: str) -> None:
        # The name is one of ours and cannot be a parameter; a switch takes a number only.
        self.admin.run(
            f"SET GLOBAL {self.name} = %(value)s",
            parameters={"value": int(value) if value.isdigit() else value},
            autocommit=True,
        )
        measured = self.value()
        if measured != value:
            raise RuntimeError(
                f"{self.name} on {self.database.server()} is {measured} after SET GLOBAL {value}"
            )

    def _prepare(self) -> None:
        self.admin.run("CREATE DATABASE IF NOT EXISTS keystone_rollout", autocommit=True)
        self.admin.run(sql("create_saved_variable"), autocommit=True)
