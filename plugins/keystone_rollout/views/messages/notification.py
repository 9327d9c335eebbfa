"""Write about a run in a few lines, for a reader with a phone at 2 a.m."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.cloud.notifications import Happening, Message
from keystone_rollout.domain.recovery.restore import downtime_in_words
from keystone_rollout.domain.run.record import RunRecord
from keystone_rollout.domain.units import count, duration
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.views.report.checks import reasons
from keystone_rollout.views.report.restore import restore_summary

SUBJECT_LENGTH, REASON_LENGTH, MOST_REASONS, MOST_LINES = 120, 700, 3, 12
WORDS: dict[Happening, str] = {
    "started": "{kind} started",
    "halted": "{kind} HALTED",
    "approval_needed": "{kind} asks for approval",
    "rolled_back": "rolled back",
    "finished": "{kind} finished",
}


@dataclass(frozen=True)
class Topic:
    """The subject of a notification: a DAG's run on a cloud, and where to look at it.

    ``page`` is the address of the run in Airflow; empty if Airflow's base URL is not configured.
    """

    cloud: Cloud
    dag: str
    run_id: str
    page: str = ""

    def message(self, happening: Happening, about: str, lines: Sequence[str]) -> Message:
        """Return a message about an event; ``about`` adds its details to the subject."""
        words = WORDS[happening].format(kind=self.dag.removeprefix("keystone_"))
        title = f"[{self.cloud.name}] Keystone {words}: {about}"
        head = [f"Cloud {self.cloud.name}: {self.way}", f"Run {self.run_id} of {self.dag}"]
        foot = [f"Page: {self.page}"] if self.page else []
        body = "\n".join(_printable(line) for line in [*head, "", *lines, *foot])
        return Message(happening, _shortened(_one_line(title), SUBJECT_LENGTH), body)

    @property
    def way(self) -> str:
        """Return the two releases of a run, in the direction in which this DAG leads."""
        way = [str(self.cloud.source_release), str(self.cloud.target_release)]
        return " → ".join(way if self.dag == "keystone_upgrade" else way[::-1])


def started(topic: Topic, broken_run: str = "") -> Message:
    """Tell that a run has taken the lock; ``broken_run`` names the dead run whose lock it broke."""
    lines = [f"It takes over from run {broken_run}, whose lock was broken."] if broken_run else []
    return topic.message("started", topic.way, [
        *lines, "Nothing to do now: you are told when it halts, asks, or has finished.",
    ])  # fmt: skip


def approval_needed(topic: Topic, evidence: str) -> Message:
    """Ask for the answer that the run waits for, with the evidence of the question itself."""
    seconds = topic.cloud.limits.approval_seconds
    shown = [_shortened(line, REASON_LENGTH) for line in evidence.splitlines() if line.strip()]
    more = [f"... and {len(shown) - MOST_LINES} more lines there"] if shown[MOST_LINES:] else []
    return topic.message("approval_needed", "contract the schema?", [
        "Contract is the point of no return: after it the old release cannot serve.",
        *shown[:MOST_LINES], *more, "",
        f"Next: answer task approve_contract in Airflow within {duration(seconds)}; no answer "
        "counts as rejected. Meanwhile Keystone serves.",
    ])  # fmt: skip


def ended(
    topic: Topic,
    record: RunRecord,
    report: str,
    *,
    since: float = 0.0,
    also: Sequence[str] = (),
) -> Message:
    """Say how a run ended, from its record and the names of its red tasks in it.

    :param report: path of the report
    :param since: time up to which everything was told before (of a resumed run)
    :param also: reasons that are not in the record
    """
    if record.state != "succeeded":
        return _halted(topic, record, report, since, also)
    happening: Happening = "rolled_back" if topic.dag == "keystone_rollback" else "finished"
    restore = record.restore
    lines = [_load(record), *(f"Left behind: {each}" for each in record.left_behind)]
    if restore:
        lines = [restore_summary(restore), f"Downtime: {downtime_in_words(restore)}"]
    return topic.message(happening, topic.way, [*lines, "", f"Next: read the report, {report}"])


def _halted(
    topic: Topic, record: RunRecord, report: str, since: float, also: Sequence[str]
) -> Message:
    found = reasons(_only_new(record, since))
    texts = [*(_reason(each) for each in found), *also]
    tasks = [str(task) for task in record.failed_tasks]
    if any(task.endswith("approve_contract") for task in tasks):
        texts.append(
            "Contract was rejected, or nobody answered in time: it did not run, and the old "
            "release can still serve. Next: clear task approve_contract to be asked again, or "
            "start keystone_rollback"
        )
    if not texts:
        texts = ["no step recorded why. Next: read the log of the first red task of this run"]
    more = len(texts) - MOST_REASONS
    about = _named(found[0]) if found else ", ".join(tasks) or "unknown"
    return topic.message("halted", about, [
        *(f"{number}. {_shortened(text, REASON_LENGTH)}"
          for number, text in enumerate(texts[:MOST_REASONS], 1)),
        *([f"... and {more} more in the report"] if more > 0 else []),
        "", f"Red tasks: {', '.join(tasks) or 'none'}",
        *_standing(record),
        f"Report: {report}",
    ])  # fmt: skip


def _standing(record: RunRecord) -> list[str]:
    if record.restore:
        return [restore_summary(record.restore)]
    return [_load(record)] if record.load.requests else []


def _named(found: Mapping[str, Any]) -> str:
    return str(found["title"]) if found["text"] else f"{found['title']} ({found['object']})"


def _only_new(record: RunRecord, since: float) -> RunRecord:
    """Leave out the reasons that were told before, unless there are no newer ones."""
    verdicts = [each for each in record.violated if each.t > since]
    steps = [each for each in record.steps if each.began > since]
    return replace(record, verdicts=verdicts, steps=steps) if verdicts or steps else record


def _reason(found: Mapping[str, Any]) -> str:
    """Return a step's message, or a verdict as the log and the report print it."""
    if found["text"]:
        return f"{found['title']}: {found['text']}"
    names = ("check", "object", "measured", "limit", "consequence", "next_step")
    return str(Verdict(ok=False, **{name: _shortened(found[name], 200) for name in names}))


def _load(record: RunRecord) -> str:
    load = record.load
    if not load.requests:
        return "No request was made: nobody knows whether clients noticed."
    return (
        f"{count(load.failures)} of {count(load.requests)} requests failed, longest gap "
        f"between two successes {load.longest_gap:.1f} s."
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _shortened(text: str, length: int) -> str:
    """Leave the middle out: a message begins with what happened and ends with the next step."""
    text = _one_line(text)
    if len(text) <= length:
        return text
    tail = length // 2 - 3
    return f"{text[: length - tail - 5]} ... {text[-tail:]}"


def _printable(line: str) -> str:
    """Drop control characters: parts of a text are the output of other programs."""
    return "".join(sign for sign in line if sign.isprintable())
