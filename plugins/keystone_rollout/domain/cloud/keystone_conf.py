"""Read the options of keystone.conf that the upgrade has to know, as Keystone reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def option_values(text: str, section: str, option: str) -> list[str]:
    """Return every value of an option in a file's text, in order; the last one counts.

    Sections are found in any case, a value's quotes are dropped, and an indented line continues the
    value before it, as in oslo.config. Substitutions such as $name stay as they are.
    """
    return [
        value
        for found, key, value in _assignments(text.splitlines())
        if (found.lower(), key) == (section, option)
    ]


def override_text(connection: str) -> str:
    """Return a configuration file that holds nothing but [database] connection."""
    return f"[database]\nconnection = {connection}\n"


def _assignments(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    section, key, parts = "", "", list[str]()
    for line in (*lines, ""):
        if line[:1] in (" ", "\t") and key and line.strip():
            parts.append(line.strip())
            continue
        if key:
            yield section, key, "\n".join(parts)
        key = ""
        if line.startswith("[") and line.rstrip().endswith("]"):
            section = line.rstrip()[1:-1]
        elif line and line[0] not in " \t#;":
            key, value = _split(line.rstrip())
            parts = [value]


def _split(line: str) -> tuple[str, str]:
    places = [place for place in (line.find("="), line.find(":")) if place >= 0]
    if not places:
        return "", ""
    key, value = line[: min(places)].strip(), line[min(places) + 1 :].strip()
    if value and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return key, value
