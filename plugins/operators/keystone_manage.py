"""Run keystone-manage of the target release in the upgrade container."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout
from docker.types import Mount

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.releases.image_checks import CHECKS
from keystone_rollout.domain.run.events import FindingsAccepted
from keystone_rollout.domain.run.systems import PhaseConfiguration
from keystone_rollout.domain.schema.keystone_log import error_lines
from keystone_rollout.hooks.docker.container import DeliveringClient, PhaseContainerError
from keystone_rollout.hooks.docker.image import DOCKER, ENGINE_ERRORS
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.files.keystone_configuration import PARENT
from keystone_rollout.procedures.run.resume import proceed
from keystone_rollout.procedures.run.run import RolloutRun


class OutcomeUnknown(AirflowFailException):
    """A command whose end was not seen: what is known of it, and the next step."""

    def __init__(self, known: str, next_step: str) -> None:
        super().__init__(f"{known}. Next: {next_step}")
        self.known = known
        self.next_step = next_step


class KeystoneManageOperator(DockerOperator):
    """One keystone-manage command, with keystone.log as the task's log.

    Image, network and configuration come from the cloud file. The configuration holds the
    database password; it is mounted read-only, so no secret is in the command or environment.

    :param arguments: arguments of `keystone-manage`
    """

    interruptible = True
    """Whether the container is stopped when the task is: without harm, or in the middle of DDL."""

    def __init__(self, *, arguments: list[str], **kwargs: Any) -> None:
        super().__init__(
            image="from the cloud file",
            command=arguments,
            docker_url=DOCKER,
            mount_tmp_dir=False,
            # We remove it once its end is known: a task that dies before has to leave it.
            auto_remove="never",
            xcom_all=True,
            **kwargs,
        )
        self.arguments = arguments
        self.configuration: PhaseConfiguration | None = None

    @property
    def cli(self) -> Any:
        """Return the Docker client; it delivers the phase's configuration before the start."""
        client = super().cli
        if self.configuration is None:
            return client
        return DeliveringClient(client, PARENT, self.configuration.archive)

    def wait_for_earlier(self, run: RolloutRun) -> None:
        """Wait for the container of an earlier attempt, so that nothing runs beside it."""
        try:
            with run.kept_alive():
                self.log.info(run.engine.container.wait_for_earlier())
        except PhaseContainerError as error:
            with run.step("settle_earlier_container"):  # the report says why by its failed steps
                raise AirflowFailException(str(error)) from error

    def keystone_manage(self, run: RolloutRun, context: Any) -> tuple[int, list[str]]:
        """Run the command; return its exit status and the lines it wrote.

        Raises OutcomeUnknown if the engine, the container or the time is lost on the way.
        """
        settings, phase_container = run.cloud.upgrade_container, run.engine.container
        folder = str(project_path(settings.configuration))
        options = self.configuration.arguments if self.configuration else []
        self.hook = run.engine.hook
        self.image = settings.image
        self.command = [*settings.command, *options, *self.arguments]
        self.container_name = phase_container.name
        self.labels = phase_container.labels(self.arguments)
        self.network_mode = settings.network
        self.user = settings.user
        self.mounts = [Mount("/etc/keystone", folder, type="bind", read_only=True)]
        lines: Iterable[Any]
        try:
            with _limited(run.cloud.limits.phase_seconds, run.clock):
                lines = super().execute(context) or []
        except DockerContainerFailedException as error:
            lines = error.logs or []
        except AirflowTaskTimeout as error:
            self._try(run, self.on_kill)
            if self.interruptible:
                self._try(run, phase_container.remove)
            raise self._overdue(run) from error
        except ENGINE_ERRORS as error:
            raise self._lost(run, error) from error
        try:
            return phase_container.remove(), [str(line) for line in lines]
        except ENGINE_ERRORS as error:
            raise self._lost(run, error) from error

    def _lost(self, run: RolloutRun, error: Exception) -> OutcomeUnknown:
        """Say what the engine answered, and whether the command may be at work."""
        command, name = " ".join(self.arguments), run.engine.container.name
        if self.container:
            self._try(run, run.engine.container.discard)
        how = (
            f"how {command} ended in container {name} is not known"
            if self.container
            else f"{command} could not be run in container {name}"
        )
        return OutcomeUnknown(
            f"{how}: {run.engine.container.words(error)}",
            "repair that, then start the upgrade again; if the container runs, its outcome is "
            "taken up",
        )

    def _try(self, run: RolloutRun, tidy: Callable[[], object]) -> None:
        """Tidy up if the engine lets us: the reason why is said in every case."""
        try:
            tidy()
        except ENGINE_ERRORS as error:
            self.log.warning("%s: %s", run.engine.container.name, run.engine.container.words(error))

    def on_kill(self) -> None:
        """Stop the container with its task, unless that would cut a migration in two."""
        if self.interruptible:
            super().on_kill()
            return
        self.log.warning(
            "The container is left running: stopped between two statements, its migration could "
            "not be run again. The next start waits for it"
        )

    def _overdue(self, run: RolloutRun) -> OutcomeUnknown:
        command, name = " ".join(self.arguments), run.engine.container.name
        known = (
            f"{command} has not ended: measured more than {run.cloud.limits.phase_seconds} s, the "
            "limit (limits.phase_seconds). "
        )
        if self.interruptible:
            return OutcomeUnknown(
                f"{known}It was stopped", "find out what it waits for, then clear this task"
            )
        return OutcomeUnknown(
            f"{known}It is left running in container {name}: stopped between two statements, its "
            "migration could not be run again",
            f"read `docker logs {name}` and the database's process list; when it has ended, start "
            "the upgrade again, which takes up its outcome",
        )


@contextmanager
def _limited(seconds: float, clock: Clock) -> Iterator[None]:
    """Bound a block with AirflowTaskTimeout; a process has one alarm, which the task's own uses."""
    began, (rest, _) = clock.elapsed(), signal.getitimer(signal.ITIMER_REAL)
    handler = signal.getsignal(signal.SIGALRM)
    try:
        with timeout(seconds):  # type: ignore[no-untyped-call]
            yield
    finally:
        if rest:
            with suppress(ValueError):  # not in the main thread, which has the alarm
                signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, max(rest - (clock.elapsed() - began), 1.0))


class ImageCheckOperator(KeystoneManageOperator):
    """One check of the target release, its findings compared with the cloud file's policy.

    :param check: name of a row of domain.releases.image_checks
    """

    def __init__(self, *, check: str, **kwargs: Any) -> None:
        super().__init__(arguments=list(CHECKS[check].arguments), **kwargs)
        self.check = CHECKS[check]

    def execute(self, context: Any) -> None:
        """Fail on any finding that the cloud file does not accept; pass a release without it."""
        run, check = RolloutRun.from_context(context), self.check
        if not check.is_in(run.cloud.target_release):
            self.log.info("%s has no %s: nothing to do", run.cloud.target_release, check.name)
            return
        self.wait_for_earlier(run)
        proceed(run, f"before {check.name}")
        with run.step(check.name):
            status, lines = self.keystone_manage(run, context)
            violation = check.violation(run.cloud, status, lines)
            if violation:
                raise AirflowFailException(violation)
        run.directory.record(FindingsAccepted(check=check.name, accepted=check.read(lines)))


class TokenFlushOperator(KeystoneManageOperator):
    """`keystone-manage token_flush`, if the target release still has it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(arguments=["token_flush"], **kwargs)

    def execute(self, context: Any) -> None:
        """Flush, or say that the release has no such command."""
        run = RolloutRun.from_context(context)
        release = run.cloud.target_release
        if not release.series.token_flush:
            self.log.info("%s has no token_flush (gone since Stein): nothing to do", release)
            return
        self.wait_for_earlier(run)
        proceed(run, "before token_flush")
        with run.step("token_flush"):
            status, lines = self.keystone_manage(run, context)
            errors = error_lines(lines)
            if status != 0 or errors:
                raise AirflowFailException(
                    f"token_flush: exit status {status}, allowed is 0; "
                    f"{errors[0] if errors else 'no error line'}"
                )
