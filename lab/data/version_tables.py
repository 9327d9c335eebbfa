"""What the database itself says about its schema: both version tables, and the triggers."""

from __future__ import annotations

from lab.cloud import database
from lab.topology import DATABASE

VersionTables = dict[str, list[str]]

QUESTIONS = {
    "migrate_version": "SELECT repository_id, version FROM keystone.migrate_version ORDER BY 1",
    "alembic_version": "SELECT version_num FROM keystone.alembic_version ORDER BY 1",
}


def read_version_tables() -> VersionTables:
    """Return the rows of each version table that exists, as they are.

    Both of them where both are there: a release that writes into one says nothing of the other.
    """
    present = {
        str(row[0])
        for row in database.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s "
            "AND table_name IN ('migrate_version', 'alembic_version')",
            (DATABASE,),
        )
    }
    return {
        table: [" ".join(str(value) for value in row) for row in database.execute(question)]
        for table, question in QUESTIONS.items()
        if table in present
    }


def count_triggers() -> int:
    """Return how many triggers Keystone's schema has."""
    question = "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = %s"
    return int(database.execute(question, (DATABASE,))[0][0])


def count_users() -> int:
    """Return how many users Keystone's database holds, whatever they were made by."""
    return int(database.execute("SELECT COUNT(*) FROM keystone.user")[0][0])
