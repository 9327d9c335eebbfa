"""Set log_bin_trust_function_creators for the run, and bring its original value back.

The original is kept in the database itself: a run that was killed leaves it there, so that the
next one restores what the operator had and not what the killed run had set.
"""

from __future__ import annotations

from hooks.keystone_database import KeystoneDatabase
from hooks.sql_text import sql
from rollout.cloud import Cloud
from rollout.verdict import Verdict

VARIABLE = "log_bin_trust_function_creators"


class FunctionCreators:
    """Handle the variable on the one server that the migrations use."""

    def __init__(self, cloud: Cloud) -> None:
        self.database = KeystoneDatabase(cloud)
        self.admin = self.database.administrator

    def value(self) -> str:
        """Return the server's present value, "0" or "1"."""
        return str(int(self.admin.get_first(sql("select_function_creators"))[0]))

    def original(self) -> str | None:
        """Return the value that was saved before it was set; None where it is not set by us."""
        self._prepare()
        row = self.admin.get_first(
            sql("select_saved_variable"), {"server": self.database.server(), "name": VARIABLE}
        )
        return None if row is None else str(row[0])

    def set(self, run_id: str) -> str:
        """Save the original once, set the variable, look again; return the original."""
        if self.original() is None:
            self.admin.run(
                sql("insert_saved_variable"),
                parameters={
                    "server": self.database.server(),
                    "name": VARIABLE,
                    "original": self.value(),
                    "run_id": run_id,
                },
                autocommit=True,
            )
        self._write("1")
        original = self.original()
        assert original is not None
        return original

    def restore(self) -> str | None:
        """Bring the original back and forget it; None where nothing was saved."""
        original = self.original()
        if original is None:
            return None
        self._write(original)
        self.admin.run(
            sql("delete_saved_variable"),
            parameters={"server": self.database.server(), "name": VARIABLE},
            autocommit=True,
        )
        return original

    def judge(self) -> Verdict:
        """Check that the variable is what the phases need, while it is ours to hold."""
        measured = self.value()
        return Verdict(
            ok=measured == "1",
            check=VARIABLE,
            object=self.database.server(),
            measured=measured,
            limit="1 from before expand until after contract",
            consequence="a migration that makes a trigger would stop half-way with error 1419, "
            "so the phase was not started",
            next_step="find out who set it back, then start the upgrade again: it sets it to 1",
        )

    def _write(self, value: str) -> None:
        self.admin.run(f"SET GLOBAL {VARIABLE} = {int(value)}", autocommit=True)
        measured = self.value()
        if measured != value:
            raise RuntimeError(
                f"{VARIABLE} on {self.database.server()} is {measured} after SET GLOBAL {value}"
            )

    def _prepare(self) -> None:
        self.admin.run("CREATE DATABASE IF NOT EXISTS keystone_rollout", autocommit=True)
        self.admin.run(sql("create_saved_variable"), autocommit=True)
