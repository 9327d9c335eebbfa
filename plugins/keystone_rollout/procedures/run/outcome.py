"""Tell how a run ended and write its report, which also says who could not be told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from airflow.sdk.configuration import conf

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.cloud.notifications import Message
from keystone_rollout.domain.run.events import Reported
from keystone_rollout.domain.run.systems import Record
from keystone_rollout.procedures.run.notification import tell
from keystone_rollout.procedures.run.report import (
    EndNotRecorded,
    read_record,
    report_path,
    write_run_report,
)
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.views.messages.notification import (
    Topic,
    approval_needed,
    ended,
    started,
)


def topic(cloud: Cloud, directory: Record, dag: str) -> Topic:
    """Return the topic of a notification, with the run's page if Airflow knows its address."""
    base, run_id = conf.get("api", "base_url", fallback=""), directory.run_id
    page = f"{base.rstrip('/')}/dags/{dag}/runs/{quote(run_id)}" if base else ""
    return Topic(cloud, dag, run_id, page)


def tell_started(run: RolloutRun, dag: str, broken_run: str) -> None:
    """Tell that a run has the lock; ``broken_run``: from whom it was taken, or empty."""
    tell(run.cloud, run.directory,
         lambda: started(topic(run.cloud, run.directory, dag), broken_run))  # fmt: skip


def tell_approval_needed(run: RolloutRun, evidence: str) -> None:
    """Tell that the run waits for an answer, with the evidence for it."""
    tell(run.cloud, run.directory, lambda: approval_needed(
        topic(run.cloud, run.directory, "keystone_upgrade"), evidence))  # fmt: skip


def end_with_report(
    cloud: Cloud | None,
    directory: Record,
    state: str,
    failed_tasks: Sequence[str],
    problems: Sequence[str] = (),
) -> Path:
    """Tell how the run ended, then write its report; return the report's path.

    The report comes second, because it names whom the notification did not reach.

    :param cloud: None if its file cannot be read, so that the receivers are unknown
    :param state: "succeeded" or "failed"; a record that lacks events makes it "failed"
    :param problems: why it failed, beyond what the run's record says
    """
    lost = directory.unwritten()
    if lost:
        state, problems = "failed", [*problems, _not_recorded(directory, lost)]
    if cloud is None:
        return write_run_report(directory, state, failed_tasks)
    told = directory.last(Reported)
    since = told.t if told else 0.0

    def outcome(state: str, reasons: Sequence[str]) -> Message:
        record = read_record(directory, state, failed_tasks)
        about = topic(cloud, directory, record.dag)
        return ended(about, record, str(report_path(directory)), since=since, also=reasons)

    tell(cloud, directory, lambda: outcome(state, problems))
    try:
        return write_run_report(directory, state, failed_tasks)
    except Exception as error:
        text = str(error)
        if not isinstance(error, EndNotRecorded):
            text = f"the report could not be written: {text}"
        # The run has ended all the same: what is cleared after this resumes it.
        directory.record(Reported(state="failed", path=""))
        tell(cloud, directory, lambda: outcome("failed", [text]))
        raise


def _not_recorded(directory: Record, lost: int) -> str:
    return (
        f"{lost} event(s) of this run could not be written into {directory.path}; the tasks' logs "
        "hold them. Next: make that folder writable (is its disk full?), then clear the red tasks"
    )
