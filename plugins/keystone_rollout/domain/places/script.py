"""Write the shell text that a place runs, and find the script's own output in what is printed.

A login may greet, a profile may warn and colour. So a script's output stands between two lines that
no one else can print: their two halves are joined only when they are printed, and one of them is
random. Everything outside them is noise.
"""

from __future__ import annotations

import math
import re
import shlex
from typing import NamedTuple

END_SECONDS = 10
"""From SIGTERM to SIGKILL."""

ENDED = frozenset([124, 128 + 9])
"""Exit statuses of coreutils' timeout: after its SIGTERM, and after its SIGKILL."""

RELAY_SECONDS = 30
"""For an answer after the question's end; by default, socat waits half a second only."""

_BEGINS, _ENDS = "-begins", "-ends"


def begin_line(token: str) -> bytes:
    """Return the mark before a script's output."""
    return f"\n{token}{_BEGINS}\n".encode()


def opened(script: str, token: str) -> str:
    """Return a script whose output begins with a mark; for bytes that are passed on unread."""
    return f"printf '\\n%s%s\\n' {token} {_BEGINS}\n{script}"


def marked(script: str, token: str, shell: str) -> str:
    """Return a script whose output stands between marks; the second one has its exit status."""
    return opened(
        # A greeting in the file that BASH_ENV names would be printed again, after the mark.
        f"BASH_ENV= {shell} -c {shlex.quote(script)}\n"
        f"status=$?\n"
        f"printf '\\n%s%s %s\\n' {token} {_ENDS} $status\n"
        f"exit $status",
        token,
    )


def bounded(script: str, limit: float, shell: str) -> str:
    """Return a script that is ended where it runs, with its process group, after ``limit`` seconds.

    This holds even if nobody listens any more. `timeout` leads the group. Once the script itself
    has ended, it forgets processes that ignore its SIGTERM; the last kill ends them.
    """
    return (
        f"exec 3<&0\n"
        f"timeout -k {END_SECONDS} {math.ceil(limit)} {shell} -c {shlex.quote(script)} <&3 3<&- &\n"
        f"group=$!\n"
        f"wait $group; status=$?\n"
        f"kill -s KILL -- -$group 2>/dev/null\n"
        f"exit $status"
    )


class Said(NamedTuple):
    """The output of a script itself; ``status`` is None if the end is missing."""

    begun: bool
    output: bytes
    status: int | None


def said(printed: bytes, token: str) -> Said:
    """Return the output between the marks."""
    _noise, begun, rest = printed.partition(begin_line(token))
    output, ended, after = rest.partition(f"\n{token}{_ENDS} ".encode())
    status = re.match(rb"\d+(?=\n)", after)
    return Said(bool(begun), output, int(status[0]) if ended and status else None)


def is_mark(line: str, token: str) -> bool:
    """Tell whether a line is one of the two marks."""
    return line.startswith((f"{token}{_BEGINS}", f"{token}{_ENDS} "))


_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, the cursor
    r"|[\]PX^_].*?(?:\x07|\x1b\\)"  # a title, a link
    r"|[ -/]*[0-~])",  # two or three characters, such as a character set
    re.DOTALL,
)


def plain_text(printed: bytes | bytearray) -> str:
    """Return bytes as text without escape sequences; bytes that are not UTF-8 become U+FFFD."""
    return _ESCAPE.sub("", printed.decode(errors="replace"))


_SOCKET = re.compile(r"/[A-Za-z0-9/_.+-]+")


def socat(path: str) -> str:
    """Return the command that connects standard input and output to a Unix socket.

    With the absolute path of socat it is one complete line of sudoers. ValueError for a path with
    characters that socat or sudoers would interpret.
    """
    if not _SOCKET.fullmatch(path):
        raise ValueError(
            f"socket {path!r} is not allowed; allowed is an absolute path of letters, digits and "
            "/_.+-, because socat and sudoers give other characters a meaning of their own"
        )
    return f"socat -t {RELAY_SECONDS} - UNIX-CONNECT:{path}"


_RELAY = """\
import os, socket, sys, threading
stream = socket.socket(socket.AF_UNIX)
stream.connect(sys.argv[1])
def send():
    for chunk in iter(lambda: os.read(0, 65536), b""):
        stream.sendall(chunk)
    stream.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
for chunk in iter(lambda: stream.recv(65536), b""):
    os.write(1, chunk)
"""


def relay(path: str) -> str:
    """Return a script that does the same as `socat`, with Python if socat is missing."""
    return (
        f"if command -v socat >/dev/null; then exec {socat(path)}; fi\n"
        f"exec python3 -c {shlex.quote(_RELAY)} {path}"
    )
