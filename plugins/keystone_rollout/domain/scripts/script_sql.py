"""Find the tables and triggers in the SQL text that a migration script runs."""

from __future__ import annotations

import re

from keystone_rollout.domain.scripts.script_effects import Act, ScriptEffects

HOLE = "?"
"""Stands in a text for what is only known when the script runs."""

_NAME = r"(?:[`\"]?\w+[`\"]?\.)?[`\"]?(\w+)[`\"]?(?![\w?])"
_EXISTS = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
_STATEMENTS = [
    (re.compile(pattern.replace("NAME", _NAME).replace("EXISTS", _EXISTS), re.IGNORECASE), act)
    for pattern, act in (
        (r"ALTER\s+(?:ONLINE\s+|IGNORE\s+)?TABLE\s+EXISTSNAME", Act.ALTERED),
        (r"CREATE\s+TABLE\s+EXISTSNAME", Act.APPEARS),
        (r"DROP\s+TABLE\s+EXISTSNAME\s*$", Act.DROPPED),
        (r"TRUNCATE\s+(?:TABLE\s+)?NAME", Act.WRITTEN),
        (r"UPDATE\s+(?:IGNORE\s+)?NAME\s+(?:AS\s+\w+\s+)?SET\b", Act.WRITTEN),
        (r"(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO\s+NAME", Act.WRITTEN),
        (r"DELETE\s+FROM\s+NAME\s*(?:WHERE\b|$)", Act.WRITTEN),
        (r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+EXISTS\S+\s+ON\s+NAME", Act.ALTERED),
        (r"DROP\s+INDEX\s+EXISTS\S+\s+ON\s+NAME", Act.ALTERED),
    )
]
_RENAME = re.compile(rf"RENAME\s+TABLE\s+{_NAME}\s+TO\s+{_NAME}\s*$", re.IGNORECASE)
_MAKE_TRIGGER = re.compile(
    rf"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:DEFINER\s*=\s*\S+\s+)?TRIGGER\s+{_EXISTS}(?P<name>\S+)"
    rf"\s+(?:BEFORE|AFTER)\s+\w+\s+ON\s+{_NAME}",
    re.IGNORECASE,
)
_DROP_TRIGGER = re.compile(rf"DROP\s+TRIGGER\s+{_EXISTS}{_NAME}", re.IGNORECASE)
_HARMLESS = re.compile(r"(?:SELECT|SHOW|SET|EXPLAIN|DESCRIBE|COMMIT|BEGIN|START)\b", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)


def read_sql(text: str, effects: ScriptEffects) -> None:
    """Note what a text of one or more statements does; a trigger's body is not taken apart."""
    text = _COMMENT.sub(" ", text)
    if re.match(r"\s*CREATE\b.{0,80}?\bTRIGGER\b", text, re.IGNORECASE | re.DOTALL):
        _trigger(text, effects)
        return
    for statement in filter(None, (each.strip() for each in text.split(";"))):
        _statement(statement, effects)


def _trigger(text: str, effects: ScriptEffects) -> None:
    made = _MAKE_TRIGGER.match(text)
    if made is None:
        effects.unnamed_triggers = True
        effects.doubt("a trigger whose table is not in the text")
        return
    name = made["name"].split(".")[-1].strip('`"')
    if HOLE in name:
        effects.unnamed_triggers = True
    elif name not in effects.triggers_made:
        effects.triggers_made.append(name)
    effects.touch(made[2], Act.TRIGGERED)


def _statement(statement: str, effects: ScriptEffects) -> None:
    for pattern, act in _STATEMENTS:
        if found := pattern.match(statement):
            effects.touch(found[1], act)
            return
    if renamed := _RENAME.match(statement):
        effects.touch(renamed[1], Act.DROPPED)
        effects.touch(renamed[2], Act.APPEARS)
    elif dropped := _DROP_TRIGGER.match(statement):
        if dropped[1] not in effects.triggers_dropped:
            effects.triggers_dropped.append(dropped[1])
    elif not _HARMLESS.match(statement):
        shown = " ".join(statement.split())
        effects.doubt(f"SQL not understood: {shown[:60]}{'…' if len(shown) > 60 else ''}")
