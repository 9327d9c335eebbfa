"""Start, watch and stop Locust as a process of its own.

Locust is never imported here: its gevent patching would hang the task.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Tls
from keystone_rollout.domain.load.credentials import KeystoneAccount
from keystone_rollout.domain.load.profile import LoadProfile
from keystone_rollout.domain.load.samples import Sample, merge, parse_samples
from keystone_rollout.domain.load.state import (
    LOADS,
    STATE_FILE,
    LoadState,
    judge_state,
    parse_state,
)
from keystone_rollout.domain.load.verdict import DIED, WITNESS
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.files.project import INCLUDE, PLUGINS
from keystone_rollout.hooks.locust.process import LoadProcess
from keystone_rollout.hooks.trust.certificates import peer_of

LOCUSTFILE = INCLUDE / "locust" / "keystone_load.py"
# The variables that a Python program needs; the rest of the task's environment holds connections.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
LOG_TAIL_LINES = 8
USERS_STOP_SECONDS = 5
STOP_SECONDS = 18.0
INTERRUPT_SECONDS = 4.0
TERMINATE_SECONDS = 5.0
KILL_SECONDS = 5.0


class LoadGeneratorError(RuntimeError):
    """A load that could not be started or watched, and the next step."""


@dataclass(frozen=True)
class LoadEnd:
    """Say how the load ended and where its report is; ``report`` is None if it wrote none.

    ``died`` if it had been started, and had ended before anybody ended it.
    """

    how: str
    report: Path | None
    died: bool = False


class LoadGeneratorHook:
    """The load's process of one run; its state is in ``directory``, not in this object.

    Any process can therefore watch or stop what another one started. ``directory`` holds
    samples.jsonl, failures.jsonl, ledger.jsonl, state.json, locust.log, locust.html and
    process.json.
    """

    def __init__(self, directory: Path | str, clock: Clock = SYSTEM_CLOCK) -> None:
        self.directory = Path(directory).absolute()
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def report(self) -> Path:
        """Return the path of the HTML report, which exists once the load has been stopped."""
        return self.directory / "locust.html"

    @property
    def _process_file(self) -> Path:
        return self.directory / "process.json"

    @property
    def _state_file(self) -> Path:
        return self.directory / STATE_FILE

    def start(
        self,
        profile: LoadProfile,
        account: KeystoneAccount,
        *,
        run_time_seconds: int,
        allow_host: str | None = None,
        tls: Tls = SYSTEM_TRUST,
    ) -> LoadProcess:
        """Start the load, or return the process that already runs for this directory.

        It ends by itself after ``run_time_seconds``, in case nobody stops it.
        ``allow_host`` names the one host outside this machine that the load may go to; ``tls`` is
        section `tls` of the cloud file.
        """
        running = self.process()
        if running is not None:
            return running
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A predecessor's last word is not this process's.
        self._state_file.unlink(missing_ok=True)
        profile_file = self.directory / "profile.json"
        profile_file.write_text(profile.model_dump_json(indent=2) + "\n")
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= account.environment() | {
            "PYTHONPATH": str(PLUGINS),
            "PYTHONUNBUFFERED": "1",
            "LOAD_PROFILE": str(profile_file),
            "LOAD_DIRECTORY": str(self.directory),
        }
        if allow_host:
            environment["LOAD_ALLOW_HOST"] = allow_host
        if peer_of(tls, account.auth_url):
            environment["LOAD_TLS"] = tls.model_dump_json()
        with (self.directory / "locust.log").open("ab") as log:
            self._child = subprocess.Popen(
                self._command(profile, account.auth_url, run_time_seconds),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=environment,
                start_new_session=True,
            )
        try:
            process = LoadProcess.of(self._child.pid)
            process.save(self._process_file)
        except BaseException:
            # Nobody could find it again, to stop it.
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            raise
        return process

    def _command(self, profile: LoadProfile, auth_url: str, run_time_seconds: int) -> list[str]:
        options = {
            "--locustfile": str(LOCUSTFILE),
            "--host": auth_url,
            "--users": str(profile.users),
            "--spawn-rate": str(max(profile.users, 1)),
            "--run-time": f"{run_time_seconds}s",
            "--stop-timeout": str(USERS_STOP_SECONDS),
            "--html": str(self.report),
        }
        # Headless: with a page, whoever reaches the port could start users, or stop them.
        command = [sys.executable, "-m", "locust", "--headless", "--only-summary"]
        for option, value in options.items():
            command += [option, value]
        return command

    def wait_until_serving(self, timeout: float = 60.0) -> None:
        """Return once all users run and a request has succeeded.

        A process that ends, or takes longer than ``timeout`` seconds, is a LoadGeneratorError
        with the last lines of locust.log.
        """
        deadline = self._clock.elapsed() + timeout
        while True:
            alive, reason = self.state()
            if alive and merge(self.samples()).last_success is not None:
                return
            if self.process() is None:
                raise LoadGeneratorError(
                    f"the load did not start: {self.state()[1]}.\n{self._log_tail()}"
                )
            if self._clock.elapsed() >= deadline:
                raise LoadGeneratorError(
                    f"the load does not serve after {timeout:g} s: {reason}.\n{self._log_tail()}"
                )
            self._clock.sleep(0.2)

    def process(self) -> LoadProcess | None:
        """Return the load's process, or None if it has ended; one that hangs has not."""
        self._reap()
        process = LoadProcess.load(self._process_file)
        return process if process is not None and process.runs() else None

    def state(self) -> tuple[bool, str]:
        """Return whether the load runs, and how that is known.

        The process must exist, be the one that was started, and have said within the last
        seconds that it is loading: one that hangs, or has stopped, keeps its process.
        """
        self._reap()
        process = LoadProcess.load(self._process_file)
        if process is None:
            return False, f"no {self._process_file.name} in {self.directory}: it was never started"
        if not process.runs():
            return False, f"process {process.pid} has ended"
        loads, words = judge_state(self._own_word(), self._clock.now())
        return loads, f"process {process.pid} {words}"

    def _own_word(self) -> LoadState | None:
        try:
            return parse_state(self._state_file.read_text())
        except FileNotFoundError:
            return None

    def is_alive(self) -> bool:
        """Return whether the load runs."""
        return self.state()[0]

    def verdict(self) -> Verdict:
        """Return whether the load runs, as a verdict."""
        alive, reason = self.state()
        return Verdict(
            ok=alive,
            check="load process",
            witness=WITNESS,
            object="locust",
            measured=reason,
            limit=" or ".join(LOADS),
            consequence="nobody watches the cloud, so the upgrade stops before the next step",
            next_step=f"read {self.directory / 'locust.log'}. {DIED}",
        )

    def samples(self) -> list[Sample]:
        """Return the samples so far; SampleError for a corrupt line."""
        path = self.directory / "samples.jsonl"
        return parse_samples(path.read_text() if path.exists() else "", str(path))

    def failures(self) -> str:
        """Return the failed requests so far, a JSON object a line."""
        path = self.directory / "failures.jsonl"
        return path.read_text() if path.exists() else ""

    def stop(self, timeout: float = STOP_SECONDS) -> LoadEnd:
        """Stop the load and wait for its report; harmless if it has already ended.

        Locust writes the report on SIGINT only, which does nothing to a process that has not come
        to its load yet; so it gets one every few seconds. If none ends it within ``timeout``
        seconds, SIGTERM and then SIGKILL go to its process group.
        """
        process = LoadProcess.load(self._process_file)
        self._reap()
        if process is None or not process.runs():
            return LoadEnd("had already ended", self._report_or_none(), died=process is not None)
        deadline = self._clock.elapsed() + timeout
        while self._clock.elapsed() < deadline:
            process.interrupt()
            if process.wait(min(INTERRUPT_SECONDS, timeout), self._reap, self._clock):
                return LoadEnd("stopped", self._report_or_none())
        return LoadEnd(self._force(process), self._report_or_none())

    def _force(self, process: LoadProcess) -> str:
        signals = ((signal.SIGTERM, TERMINATE_SECONDS), (signal.SIGKILL, KILL_SECONDS))
        for number, seconds in signals:
            process.end_group(number)
            if process.wait(seconds, self._reap, self._clock):
                return f"ended by {number.name}: it did not end on SIGINT"
        raise LoadGeneratorError(
            f"process {process.pid} survives SIGKILL (it hangs in the kernel). The load may still "
            "send requests; stop it by hand"
        )

    def _report_or_none(self) -> Path | None:
        return self.report if self.report.exists() else None

    def _reap(self) -> None:
        if self._child is not None:
            self._child.poll()

    def _log_tail(self) -> str:
        path = self.directory / "locust.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return f"Last lines of {path}:\n" + "\n".join(lines[-LOG_TAIL_LINES:])
