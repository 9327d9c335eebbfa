"""Write the shell text that lets only one command change a node at a time.

A session that drops leaves its command running, and so does a task that is killed. The next command
waits for it, because the kernel keeps the lock until every process that inherited it has ended: the
account's own, and each sudo that waits for its command. A command that still waits itself must not
run late, after others that came later: each puts its name into a file before it waits, and gives up
if it then finds another name there.
"""

from __future__ import annotations

import math
import shlex

FOLDER = "keystone-rollout"
"""Below the SSH user's home."""

LOCK = f"{FOLDER}/lock"
_NEXT = f"{FOLDER}/next"

TIMED_OUT = 124
"""Exit status of coreutils' timeout."""

_NOT_STARTED = (
    75  # sysexits' "temporary failure"; a step may exit with it, too, so the message decides
)
_REASON = "not started: "


def under_lock(name: str, script: str, seconds: float) -> str:
    """Return a command that runs a script alone; it waits and runs for ``seconds`` each at most.

    It prints one line when the script begins, then the script's output, and exits with the script's
    status. ``name`` tells others what is running.

    The script's output goes through files, because writing into a dropped session raises a signal
    that would kill it half-way. The one line provokes this signal on purpose: a command whose
    session dropped while it waited does not begin.
    """
    limit = math.ceil(seconds)
    # No `timeout -k`: a SIGKILL would reach sudo, which keeps the account's own user id, but not
    # its command, which would then go on without the lock. So TERM ends the script, and a command
    # that sudo shields from it ends by the time-out in sudoers; until then its sudo has the lock.
    return (
        f"{_take(name, limit)}"
        f'echo "began: $me"\n'
        f"status=0\n"
        f"timeout {limit} bash -c {shlex.quote(script)} "
        f">{FOLDER}/stdout 2>{FOLDER}/stderr || status=$?\n"
        f"cat {FOLDER}/stdout; cat {FOLDER}/stderr >&2\n"
        f"exit $status"
    )


def wait_for_lock(name: str, seconds: float) -> str:
    """Return a command that ends once no command that changes the node is left."""
    return _take(f"wait for {name}", math.ceil(seconds))


def _take(name: str, limit: int) -> str:
    return (
        f"set -e\n"
        f"mkdir -p -m 0700 {FOLDER}\n"
        f'me={shlex.quote(name)}", asked for at $(date -u +%FT%T.%NZ), process $$"\n'
        f'echo "$me" >{_NEXT}\n'
        f"exec 9>>{LOCK}\n"
        f"status=0; flock -w {limit} 9 || status=$?\n"
        f"if test $status = 1; then\n"
        f'  echo "{_REASON}~/{LOCK} was not free within {limit} s, it is held by: $(cat {LOCK})"; '
        f"exit {_NOT_STARTED}\n"
        f"elif test $status != 0; then exit $status; fi\n"
        f'if test "$(cat {_NEXT})" != "$me"; then\n'
        f'  echo "{_REASON}a later command took its place: $(cat {_NEXT})"; '
        f"exit {_NOT_STARTED}\n"
        f"fi\n"
        f'echo "$me" >{LOCK}\n'
    )


def why_not_started(status: int, stdout: str) -> str | None:
    """Return why a command was not started, or None if it was.

    The output of a script that was started begins with a line that says so.
    """
    if status != _NOT_STARTED or not stdout.startswith(_REASON):
        return None
    return stdout.removeprefix(_REASON).strip()


def without_first_line(stdout: str) -> str:
    """Return the output of a script under the lock, without that first line."""
    return stdout.partition("\n")[2]
