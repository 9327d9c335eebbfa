"""A campaign's two files in docs/: the newest row of each key as JSON, and the page beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.campaigns.page import page
from lab.campaigns.row import Command, Content, Row, failed_and_total
from lab.data.known_users import Logins
from machine.errors import CommandError
from machine.files import write_whole


@dataclass(frozen=True)
class Plan:
    """The plan of a campaign: the runs to measure, and the beginning of its page.

    :param data: the JSON; the page is beside it, with the suffix ``.md``
    :param keys: of all rows, in the order of the page
    :param opening: Markdown of the page's title and first paragraph
    :param after_red: the consequence of a red row for those that follow; empty if it stops none of
        them
    """

    data: Path
    keys: Sequence[str]
    opening: str
    after_red: str = ""


class Campaign:
    """The newest row of each key, the red ones that were set aside, and their commands."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.content = Content()

    @classmethod
    def read(cls, plan: Plan) -> Campaign:
        """Return the campaign as it was written; CommandError if it cannot be read."""
        campaign = cls(plan)
        if plan.data.exists():
            try:
                campaign.content = Content.model_validate_json(plan.data.read_bytes())
            except ValueError as error:
                raise CommandError(
                    f"{plan.data} cannot be read ({type(error).__name__}: {error}): what was "
                    "measured before would be lost, so nothing is run. Repair it or move it away"
                ) from error
        return campaign

    @property
    def page(self) -> Path:
        """Return the file of the page."""
        return self.plan.data.with_suffix(".md")

    @property
    def rows(self) -> list[Row]:
        """Return the newest row of each key, in the order of the keys."""
        newest = {row.key: row for row in self.content.rows if not row.set_aside}
        return [newest[key] for key in self.plan.keys if key in newest]

    @property
    def set_aside(self) -> list[Row]:
        """Return the red rows that a later one went on from."""
        return [row for row in self.content.rows if row.set_aside]

    @property
    def all_green(self) -> bool:
        """Return whether every key has a green row."""
        return [row.key for row in self.rows if row.state == "green"] == [*self.plan.keys]

    @property
    def complete(self) -> bool:
        """Return whether every key is green, no request of any row failed, and all log in."""
        everyone = self.content.everyone
        return (
            self.all_green
            and failed_and_total(self.content.rows)[0] == 0
            and everyone is not None
            and everyone.ok
        )

    def keep(self, row: Row, command: Command) -> None:
        """Take a row over, and write both files.

        If a run lacked its sources, an earlier measurement of the same key stays.
        """
        earlier = next((each for each in self.rows if each.key == row.key), None)
        if not (row.lacks_sources and earlier is not None and earlier.state != "not run"):
            others = [each for each in self.content.rows if each is not earlier]
            self.content = self.content.model_copy(update={"rows": [*others, row]})
        self.write(command)

    def put_aside(self, row: Row) -> None:
        """Keep a red row beside those that count, because the campaign goes on from it."""
        rows = [each.updated(set_aside=True) if each == row else each for each in self.content.rows]
        self.content = self.content.model_copy(update={"rows": rows})

    def end(self, everyone: Logins) -> None:
        """Keep the result of logging in as everyone."""
        self.content = self.content.model_copy(update={"everyone": everyone})

    def write(self, command: Command) -> None:
        """Write both files with the present state of the command that measures."""
        rows = [*self.rows, *self.set_aside]
        known = {each.began: each for each in [*self.content.commands, command]}
        used = sorted({row.command for row in rows} & known.keys())
        commands = [known[began] for began in used]
        self.content = self.content.model_copy(update={"rows": rows, "commands": commands})
        write_whole(self.plan.data, self.content.model_dump_json(indent=1) + "\n")
        write_whole(self.page, self.markdown())

    def markdown(self) -> str:
        """Return the page."""
        plan = self.plan
        return page(plan.opening, self.content, len(plan.keys), plan.after_red)
