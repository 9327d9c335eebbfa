"""What migration scripts touch is found by reading them; what is not understood is said."""

from __future__ import annotations

import textwrap

import pytest

from keystone_rollout.domain.scripts.migration_script import read_script
from keystone_rollout.domain.scripts.script_effects import ScriptEffects

IMPORTS = """
import migrate
import sqlalchemy as sql
from alembic import op
from sqlalchemy.orm import sessionmaker
from keystone.common.sql import upgrades
"""


def read(body: str, before: str = "") -> ScriptEffects:
    """Read a script whose function `upgrade` has this body."""
    lines = textwrap.indent(textwrap.dedent(body), "    ")
    module = textwrap.dedent(before)
    return read_script(
        f"{IMPORTS}\n{module}\ndef upgrade(migrate_engine):\n"
        f"    meta = sql.MetaData()\n    meta.bind = migrate_engine\n{lines}"
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("pass", "changes nothing"),
        ("t = sql.Table('badge', meta, autoload=True)", "changes nothing"),
        ("t = sql.Table('badge', meta)\nt.create(migrate_engine)", "badge appears"),
        ("t = sql.Table('badge', meta)\nt.create_column(sql.Column('x', sql.Text))",
         "badge altered"),
        ("t = sql.Table('badge', meta)\nold = t.c.colour\nold.drop()", "badge altered"),
        ("t = sql.Table('badge', meta)\nt.c.colour.alter(nullable=False)", "badge altered"),
        ("sql.Table('badge', meta).drop()", "badge dropped"),
        ("sql.Table('badge', meta).rename('pin')", "badge dropped; pin appears"),
        ("t = sql.Table('badge', meta)\nsql.Index('i', t.c.colour).create()", "badge altered"),
        ("t = sql.Table('badge', meta)\nmigrate.UniqueConstraint('a', 'b', table=t).create()",
         "badge altered"),
        ("a = sql.Table('badge', meta)\nb = sql.Table('user', meta)\n"
         "migrate.ForeignKeyConstraint(columns=[a.c.u], refcolumns=[b.c.id]).drop()",
         "badge altered"),
        ("t = sql.Table('badge', meta)\nsession = sessionmaker(bind=migrate_engine)()\n"
         "for row in list(t.select().execute()):\n"
         "    session.execute(t.update().where(t.c.id == row.id).values({'a': 1}))",
         "badge rows written"),
        ("t = sql.Table('badge', meta)\n"
         "with migrate_engine.begin() as conn:\n    conn.execute(sql.select([t.c.id]))",
         "changes nothing"),
        ("for name in ('pin', 'patch'):\n    sql.Table(name, meta).drop()",
         "pin dropped; patch dropped"),
        ("meta.tables['badge'].drop()", "badge dropped"),
        ("migrate_engine.execute('ALTER TABLE `%s` ADD x INT' % 'badge')", "badge altered"),
        ("migrate_engine.execute(sql.text('DELETE FROM badge WHERE x = 1; UPDATE pin SET y = 2'))",
         "badge rows written; pin rows written"),
        ("op.add_column('badge', sql.Column('x', sql.Text))", "badge altered"),
        ("op.create_table('badge', sql.Column('x', sql.Text))", "badge appears"),
        ("op.create_index('ix', 'badge', ['x'])", "badge altered"),
        ("op.drop_index('ix', table_name='badge')", "badge altered"),
        ("op.create_foreign_key('fk', 'badge', 'user', ['u'], ['id'])", "badge altered"),
        ("op.rename_table('badge', 'pin')", "badge dropped; pin appears"),
        ("with op.batch_alter_table('badge', schema=None) as batch:\n"
         "    batch.alter_column('x', server_default=None)", "badge altered"),
        ("op.execute(\"INSERT INTO badge (x) VALUES (1)\")", "badge rows written"),
        ("t = sql.table('badge', sql.column('x'))\nop.bulk_insert(t, [{'x': 1}])",
         "badge rows written"),
    ],
)  # fmt: skip
def test_what_a_script_does_is_said(body: str, says: str) -> None:
    assert read(body).sentence() == says


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("tidy_up(migrate_engine)", "hands tables or the database to tidy_up()"),
        ("upgrades.rename(sql.Table('badge', meta))", "rename() of something"),
        ("migrate_engine.execute(statement_of_the_day())", "runs a statement that is not in"),
        ("migrate_engine.execute('ALTER TABLE %s ADD x INT' % name())", "SQL not understood"),
        ("migrate_engine.execute('OPTIMIZE everything')", "SQL not understood: OPTIMIZE"),
        ("sql.Table(name(), meta).create()", "create() on a table that is not named"),
        ("find().drop()", "drop() of something that is not in the text"),
        ("meta.drop_all()", "drop_all() of whatever the metadata holds"),
        ("sessionmaker(bind=migrate_engine)().add_all([1])", "add_all() of the database"),
        ("op.invoke(something)", "alembic's operation invoke()"),
        ("alembic.op.drop_table('badge')", "drop_table() of something that is not in the text"),
        ("exec('x')", "exec() of something"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_named_and_not_left_out(body: str, why: str) -> None:
    effects = read(body)
    assert effects.unknown, effects.tables
    assert why in effects.sentence()
    assert "touches unknown tables" in effects.sentence()


def test_other_databases_do_not_count() -> None:
    effects = read(
        """
        t = sql.Table('badge', meta, autoload=True)
        if migrate_engine.name == 'sqlite':
            sql.Table('badge_copy', meta).create()
        elif migrate_engine.name != 'mysql':
            sql.Table('badge_elsewhere', meta).create()
        else:
            t.c.x.alter(nullable=True)
        if migrate_engine == 'sqlite':
            sql.Table('never', meta).create()
        if op.get_bind().engine.name not in ('mysql', 'mariadb'):
            return
        op.drop_column('pin', 'x')
        """
    )
    assert effects.sentence() == "badge altered; pin altered"


def test_a_condition_that_is_not_known_counts_both_ways() -> None:
    effects = read(
        """
        name = 'pin' if lucky() else 'patch'
        if lucky():
            t = sql.Table('badge', meta)
        else:
            t = sql.Table('ribbon', meta)
        t.drop()
        op.drop_table(name)
        """
    )
    assert list(effects.tables) == ["badge", "ribbon", "pin", "patch"]


TRIGGER = '''
MAKE = """
CREATE TRIGGER badge_read_only BEFORE INSERT ON badge
FOR EACH ROW
BEGIN
  UPDATE secret SET x = 1;
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '%s';
END;
"""
'''


def test_a_trigger_has_its_name_and_its_table_and_its_body_is_not_run_yet() -> None:
    effects = read(
        """
        if upgrades.USE_TRIGGERS:
            migrate_engine.execute(MAKE % 'not now')
        """,
        TRIGGER,
    )
    assert effects.triggers_made == ["badge_read_only"]
    assert effects.sentence() == "badge gets a trigger; creates trigger badge_read_only"


def test_a_trigger_without_a_literal_name_is_said_to_be_created() -> None:
    effects = read("migrate_engine.execute(f'CREATE TRIGGER {n()} AFTER INSERT ON badge X')")
    assert (effects.triggers_made, effects.unnamed_triggers) == ([], True)
    assert effects.sentence() == "badge gets a trigger; creates triggers"


def test_triggers_go_again() -> None:
    effects = read(
        """
        if not upgrades.USE_TRIGGERS:
            return
        statement = 'DROP TRIGGER '
        statement += 'IF EXISTS badge_read_only;'
        migrate_engine.execute(statement)
        """
    )
    assert effects.sentence() == "drops trigger badge_read_only"


def test_functions_of_the_script_are_followed() -> None:
    effects = read(
        "widen(migrate_engine, sql.Table('badge', meta))\nagain()",
        """
        def widen(engine, table):
            with engine.begin() as conn:
                conn.execute(table.update().values(x=1))

        def again():
            again()
        """,
    )
    assert effects.tables == {"badge": ["rows written"]}
    assert effects.unknown == ["again() is nested too deeply to be followed"]


def test_the_first_line_of_alembics_message_is_the_title() -> None:
    assert read_script('"""Widen badges.\n\nRevision ID: 1\n"""\ndef upgrade(): pass').title == (
        "Widen badges"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def upgrade(e):\n    print 'old'", "not readable as Python 3"),
        ("x = 1", "it has no function upgrade"),
    ],
)
def test_a_script_that_cannot_be_followed_touches_unknown_tables(text: str, why: str) -> None:
    assert f"touches unknown tables ({why}" in read_script(text).sentence()


def test_effects_survive_the_way_through_json() -> None:
    effects = read("migrate_engine.execute(MAKE)\nfind().drop()", TRIGGER)
    assert ScriptEffects.from_dict(effects.to_dict()) == effects
