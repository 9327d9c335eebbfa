r"""Describe privileges: each is one command that a node's account may run as root.

A privilege is the command line as it is run: the program's absolute path and every argument. Only
three marks have a meaning: ``[0-9]`` is one digit, ``\*`` a star that the program itself gets,
``\\`` a backslash. There is no wildcard for more than one character, because in sudoers it would
match blanks and slashes, too.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class _Forms(NamedTuple):
    """The other forms of one character or mark of a privilege."""

    pattern: str
    """Regular expression of the texts that it stands for."""
    example: str
    """One text that it stands for."""
    sudoers: str


_TOKEN = re.compile(r"\[0-9\]|\\\*|\\\\|.", re.DOTALL)
_MARKS = {
    "[0-9]": _Forms("[0-9]", "0", "[0-9]"),
    r"\*": _Forms(r"\*", "*", r"\*"),
    "\\\\": _Forms(r"\\", "\\", "\\" * 4),
}
_PLAIN = re.compile(r"[A-Za-z0-9 @%_+.,:=/~{}-]")
_ESCAPED = frozenset(",:=")

_SUDO = re.compile(r"(?<![\w/-])sudo +-n +([A-Za-z0-9/][A-Za-z0-9@%_+.,:=/~ -]*)(.?)")
_ENDS_A_COMMAND = frozenset(["", ";", "|", "&", ">", "<", ")"])


def privilege_problem(privilege: str) -> str | None:
    """Say why a text is not a privilege, or return None if it is one."""
    program = privilege.partition(" ")[0]
    if not program.startswith("/") or program.endswith("/"):
        return (
            f"read {privilege!r}; allowed is a command that begins with the absolute path of its "
            "program, such as /usr/sbin/service keystone stop"
        )
    for token in _TOKEN.findall(privilege):
        if token in _MARKS or _PLAIN.fullmatch(token):
            continue
        return (
            f"read {privilege!r}; {token!r} is not allowed, because sudoers would not take it for "
            "itself. Allowed are letters, digits, blanks and @%_+.,:=/~{}-, [0-9] for one digit, "
            r"\* for a star that the program itself gets, and \\. "
            "Next: write out each command, without quotes"
        )
    return None


def covers(privilege: str, command: str) -> bool:
    """Tell whether a privilege allows a command, whose words are separated by single blanks."""
    pattern = "".join(forms.pattern for forms in _forms(privilege))
    return re.fullmatch(pattern, command) is not None


def check_command(privileges: Iterable[str]) -> str:
    """Return a shell command that prints a line for each privilege that the account lacks.

    It prints 0 for a digit.
    """
    examples = ("".join(forms.example for forms in _forms(each)) for each in privileges)
    asked = [shlex.join(example.split()) for example in examples]
    function = """ask() { sudo -n -l "$@" >/dev/null 2>&1 || printf '%s\\n' "$*"; }"""
    return "\n".join([function, *(f"ask {command}" for command in asked)])


def in_sudoers(privilege: str) -> str:
    """Return a privilege in sudoers' notation; ValueError if it is not a valid privilege."""
    problem = privilege_problem(privilege)
    if problem:
        raise ValueError(problem)
    # Without the empty argument sudoers would allow any.
    written = "".join(forms.sudoers for forms in _forms(privilege))
    return written if " " in privilege else f'{written} ""'


def _forms(privilege: str) -> Iterator[_Forms]:
    for token in _TOKEN.findall(privilege):
        escape = "\\" if token in _ESCAPED else ""
        yield _MARKS.get(token) or _Forms(re.escape(token), token, escape + token)


def unlisted_commands(step: str, privileges: Iterable[str]) -> list[str]:
    """Return the sudo commands in a step's text that no privilege covers.

    A command with a shell variable, a quote or the like is not judged. The program's directory does
    not count, because sudo searches its own path.
    """
    known = [_without_directory(privilege) for privilege in privileges]
    return [
        command
        for command in _plain_commands(step)
        if not any(covers(each, _without_directory(command)) for each in known)
    ]


def _plain_commands(step: str) -> Iterator[str]:
    for text, following in _SUDO.findall(step.replace("\\\n", " ")):
        if following not in _ENDS_A_COMMAND:
            continue
        words = text.split()
        if following in (">", "<") and words[-1].isdigit() and not text.endswith(" "):
            words.pop()  # 2>/dev/null: the number belongs to the redirection
        yield " ".join(words)


def _without_directory(command: str) -> str:
    program, blank, arguments = command.partition(" ")
    return program.rpartition("/")[2] + blank + arguments


FILE = "/etc/sudoers.d/keystone-rollout"

# No capital at the beginning: sudoers would take the name for an alias.
_ACCOUNT = re.compile(r"[a-z_][A-Za-z0-9_.-]*")


def sudoers_text(
    account: str, privileges: Sequence[str], command_seconds: float, title: str
) -> str:
    """Return a sudoers file that allows an account these privileges as root, and nothing else.

    A command that takes longer than ``command_seconds`` is ended by sudo (1.8.20 and later).
    Raises ValueError for an invalid account name or privilege.
    """
    if not _ACCOUNT.fullmatch(account):
        raise ValueError(
            f"account {account!r} cannot be written into sudoers; allowed are letters, digits, "
            "_, . and -, the first one a small letter or _"
        )
    if not privileges:
        raise ValueError("there is no privilege to write; sudoers knows no empty list")
    commands = ", \\\n    ".join(in_sudoers(privilege) for privilege in privileges)
    return (
        f"# {title}\n"
        f"# Belongs into {FILE}, root:root 0440, after `visudo -cf` of it.\n"
        f"Cmnd_Alias KEYSTONE_ROLLOUT = \\\n    {commands}\n"
        "Defaults!KEYSTONE_ROLLOUT !requiretty, env_reset\n"
        f"{account} ALL=(root) TIMEOUT={math.ceil(command_seconds)} NOPASSWD: NOSETENV: "
        "KEYSTONE_ROLLOUT\n"
    )
