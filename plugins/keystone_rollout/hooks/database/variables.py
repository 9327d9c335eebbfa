"""Set global variables of the database server for a run, and reset them to their originals.

The original is kept in the database itself. A killed run leaves it there, so that the next one
resets the variable to the operator's value and not to the killed run's.
"""

from __future__ import annotations

from functools import cached_property

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.database.keystone import KeystoneDatabase, text
from keystone_rollout.hooks.database.own_schema import RolloutTable
from keystone_rollout.hooks.database.sql import sql

SWITCH = {"OFF": "0", "ON": "1"}


class SavedVariable:
    """One variable on the server that the migrations use; a subclass names it."""

    names: tuple[str, ...]
    """Its names on different servers; the first one that this server knows is taken."""
    wanted: str
    consequence: str

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.database = KeystoneDatabase(cloud)
        self.admin = self.database.administrator
        self.kept = RolloutTable(cloud, "saved_variable")

    @property
    def needed(self) -> bool:
        """Tell whether this upgrade needs the variable changed at all."""
        return True

    @cached_property
    def name(self) -> str:
        """Return the server's name for it; LookupError if it knows none of them."""
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
        """Return the value that was saved before it was set; None if we did not set it."""
        rows = self.kept.rows("select_saved_variable", **self._key)
        return text(rows[0][0]) if rows else None

    def set(self, run_id: str) -> str:
        """Save the original once, set the variable, check it; return the original."""
        if self.original() is None:
            self.kept.write(
                "insert_saved_variable", **self._key, original=self.value(), run_id=run_id
            )
        self._write(self.wanted)
        original = self.original()
        assert original is not None
        return original

    def reset(self) -> str | None:
        """Reset the variable and forget its original; return it, or None if nothing was saved."""
        original = self.original()
        if original is None:
            return None
        self._write(original)
        self.kept.write("delete_saved_variable", **self._key)
        return original

    def judge(self) -> Verdict:
        """Check that the variable has the value that the phases need, while this run holds it."""
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


class FunctionCreators(SavedVariable):
    """log_bin_trust_function_creators, held at 1: no account needs SUPER to make a trigger."""

    names = ("log_bin_trust_function_creators",)
    wanted = "1"
    consequence = (
        "a migration that makes a trigger would stop half-way with error 1419, so the run stops "
        "before its next step"
    )


class ReadCommitted(SavedVariable):
    """Transaction isolation READ COMMITTED, held if the hop needs it.

    Without it requests fail with error 1412 while contract changes the tables that they read:
    under REPEATABLE READ a transaction reads from a snapshot, and a table whose definition is newer
    than the snapshot cannot be read from it. Under READ COMMITTED every statement has a new
    snapshot.

    A global value holds for sessions that begin after it is set; those in the nodes' pools keep
    theirs. That is enough: every node is restarted with the new release, and so with a new pool,
    before contract, the phase that fails requests. Nodes keep the window's value after it, until
    their pools renew their sessions: their transactions were made for either.
    """

    names = ("transaction_isolation", "tx_isolation")
    wanted = "READ-COMMITTED"
    consequence = (
        "requests would fail with error 1412 when contract changes the tables that they read, so "
        "the run stops before its next step"
    )

    @property
    def needed(self) -> bool:
        """Tell whether the cloud file, or the hop, asks for it."""
        return self.cloud.holds_read_committed

    def set(self, run_id: str) -> str:
        """Set it; RuntimeError if the server's binary log would then refuse every write."""
        if self._read("log_bin") == "1" and self._read("binlog_format") == "STATEMENT":
            raise RuntimeError(
                f"{self.name} on {self.database.server()} was not set: measured binlog_format "
                "STATEMENT, allowed are MIXED and ROW. Under READ COMMITTED every write of "
                "Keystone would fail with error 1665. Next: set binlog_format to MIXED, or "
                "read_committed to never in the cloud file, which accepts failed requests during "
                "contract"
            )
        return super().set(run_id)
