"""Run keystone-manage of the target release in the upgrade container."""

from __future__ import annotations

from typing import Any

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.exceptions import AirflowFailException
from docker.types import Mount

from hooks.cloud_file import project_path
from hooks.function_creators import FunctionCreators
from hooks.gate import open_gate
from hooks.keystone_database import KeystoneDatabase
from hooks.read_committed import ReadCommitted
from hooks.rollout_run import RolloutRun
from rollout.keystone_log import error_lines, symptoms, unaccepted
from rollout.migration_state import REPOSITORIES, Phase, SchemaVersions, blocked_by, is_done


class KeystoneManageOperator(DockerOperator):
    """Run one keystone-manage command, with keystone.log as the task's log.

    Image, network and configuration come from the cloud file. The configuration holds the
    database password; it is mounted read-only, so no secret is in the command or environment.

    :param arguments: what follows `keystone-manage`
    """

    def __init__(self, *, arguments: list[str], **kwargs: Any) -> None:
        super().__init__(
            image="from the cloud file",
            command=arguments,
            mount_tmp_dir=False,
            auto_remove="force",
            xcom_all=True,
            **kwargs,
        )
        self.arguments = arguments

    def keystone_manage(self, run: RolloutRun, context: Any) -> tuple[int, list[str]]:
        """Run the command; return its exit status and the lines it wrote."""
        container = run.cloud.upgrade_container
        folder = str(project_path(container.configuration))
        self.image = container.image
        self.command = [*container.command, *self.arguments]
        self.network_mode = container.network
        self.user = container.user
        self.mounts = [Mount("/etc/keystone", folder, type="bind", read_only=True)]
        try:
            return 0, [str(line) for line in super().execute(context) or []]
        except DockerContainerFailedException as error:
            return 1, [str(line) for line in error.logs or []]


class PhaseOperator(KeystoneManageOperator):
    """Take the database through one phase: expand, migrate or contract.

    Compares the version table with the image's heads before and after: a phase that is done is
    not run again, one whose predecessor is not done is not run at all.
    """

    def __init__(self, *, phase: str, **kwargs: Any) -> None:
        super().__init__(arguments=["db_sync", f"--{phase}"], **kwargs)
        self.phase = Phase(phase)

    def execute(self, context: Any) -> None:
        """Run the phase; AirflowFailException says what was measured against which limit."""
        run = RolloutRun.from_context(context)
        held = [FunctionCreators(run.cloud), ReadCommitted(run.cloud)]
        open_gate(run, f"before {self.phase.value}", [each for each in held if each.needed])
        database, heads = KeystoneDatabase(run.cloud), run.heads()
        before = database.versions()
        blocked = blocked_by(self.phase, before, heads)
        if blocked:
            raise AirflowFailException(f"{self.phase.value} was not started: {blocked}")
        if is_done(self.phase, before, heads):
            self.log.info("Nothing to do: the database stands at %s, heads %s", before, heads)
        else:
            with run.step(self.phase.value):
                self._run_phase(context, run, database, heads, before)
        after = database.versions()
        run.directory.record(
            "versions",
            after=self.phase.value,
            versions=after.to_dict(),
            triggers=database.triggers(),
        )

    def _run_phase(
        self,
        context: Any,
        run: RolloutRun,
        database: KeystoneDatabase,
        heads: SchemaVersions,
        before: SchemaVersions,
    ) -> None:
        phase = self.phase
        status, lines = self.keystone_manage(run, context)
        after = database.versions()
        errors = error_lines(lines)
        self.log.info("Schema versions %s → %s (heads %s)", before, after, heads)
        if status == 0 and not errors and is_done(phase, after, heads):
            return
        raise AirflowFailException(
            f"{phase.value} failed: measured {REPOSITORIES[phase]} at {after.of(phase)}, exit "
            f"status {status}, {len(errors)} error line(s) in keystone.log; limit: head "
            f"{heads.of(phase)}, exit status 0, 0 error lines. "
            f"{'First error: ' + errors[0] + '. ' if errors else ''}"
            "All nodes still serve the old release. Next: read the log above, remove the cause, "
            "compare migrate_version with the schema, then clear this task"
        )


class DoctorOperator(KeystoneManageOperator):
    """Run `keystone-manage doctor` and hold its symptoms against the cloud file's policy."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(arguments=["doctor"], **kwargs)

    def execute(self, context: Any) -> None:
        """Fail on any symptom that the policy does not accept."""
        run = RolloutRun.from_context(context)
        open_gate(run, "before doctor")
        with run.step("doctor"):
            status, lines = self.keystone_manage(run, context)
            found = symptoms(lines)
            open_symptoms = unaccepted(found, run.cloud.doctor.accepted_symptoms)
            if open_symptoms or error_lines(lines) or (status != 0 and not found):
                raise AirflowFailException(
                    f"doctor: exit status {status}, {len(found)} symptom(s), not accepted: "
                    f"{'; '.join(open_symptoms or error_lines(lines)[:1]) or 'unknown'}. Nothing "
                    "was changed. Next: repair the configuration, or accept the symptom in "
                    "doctor.accepted_symptoms of the cloud file"
                )
        run.directory.record("doctor", accepted=found)


class TokenFlushOperator(KeystoneManageOperator):
    """Run `keystone-manage token_flush` where the target release still has it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(arguments=["token_flush"], **kwargs)

    def execute(self, context: Any) -> None:
        """Flush, or say that the release has no such command."""
        run = RolloutRun.from_context(context)
        release = run.cloud.target_release
        if not release.has_token_flush:
            self.log.info("%s has no token_flush (gone since Stein): nothing to do", release)
            return
        open_gate(run, "before token_flush")
        with run.step("token_flush"):
            status, lines = self.keystone_manage(run, context)
            errors = error_lines(lines)
            if status != 0 or errors:
                raise AirflowFailException(
                    f"token_flush: exit status {status}, allowed is 0; "
                    f"{errors[0] if errors else 'no error line'}"
                )
