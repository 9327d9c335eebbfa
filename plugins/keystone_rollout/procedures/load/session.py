"""Start, judge and end the load of one run; a run may need several sessions, one after another."""

from __future__ import annotations

import logging

from keystone_rollout.domain.load.profile import LoadProfile
from keystone_rollout.domain.load.samples import Sample, Window, merge, with_unwritten_failures
from keystone_rollout.domain.load.verdict import (
    WITNESS,
    judge,
    judge_baseline,
    judge_baseline_again,
    judge_ended,
    judge_session,
    window_since,
)
from keystone_rollout.domain.run.events import (
    BaselineMeasured,
    Judged,
    LoadStarted,
    LoadStopped,
    Look,
    undisturbed,
)
from keystone_rollout.domain.run.systems import LoadEnd, LoadGenerator
from keystone_rollout.domain.verdict import Verdict, failed
from keystone_rollout.hooks.locust.generator import LoadGeneratorError
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)


class LoadSession:
    """The newest load session of a run.

    Each session writes into a directory of its own, so that one which ended on purpose and one
    that was started again by a cleared task are never taken for the same.
    """

    def __init__(self, run: RolloutRun) -> None:
        self.run = run
        self.limits = run.cloud.limits.load
        self.number = len(run.directory.events(LoadStarted))
        self.generator = self._generator(self.number)

    def _generator(self, number: int) -> LoadGenerator:
        return self.run.load.session(self.run.directory.load / str(number))

    @property
    def profile(self) -> LoadProfile:
        """Return the load's profile; what it creates is named after the run and the session."""
        return self._profile(self.number)

    def _profile(self, number: int) -> LoadProfile:
        return self.run.cloud.load.profile.for_run(
            f"{self.run.directory.identity().token}/{number}"
        )

    def name_prefixes(self) -> list[str]:
        """Return the prefixes of the names of all objects that the sessions of this run made."""
        return [self._profile(number).name_prefix for number in range(1, self.number + 1)]

    def start(self) -> None:
        """Start a session unless one runs; return once every client is at work."""
        if self.number and not self._stopped() and self.generator.is_alive():
            log.info("The load of session %d already runs", self.number)
            return
        # One that hangs, or whose start was cut off, would send requests beside the new one.
        self.generator.stop()
        self.number += 1
        self.generator = self._generator(self.number)
        if not self.run.directory.record(LoadStarted(session=self.number)):
            raise LoadGeneratorError(
                f"the load was not started: session {self.number} could not be written into "
                f"{self.run.directory.path}, so nobody could find it again to stop it. Next: make "
                "that folder writable (is its disk full?), then clear this task"
            )
        load = self.run.cloud.load
        try:
            self.generator.start(
                self.profile,
                self.run.keystone.account(),
                run_time_seconds=load.run_time,
                allow_host=load.allow_host,
                tls=self.run.cloud.tls,
            )
            self.generator.wait_until_serving()
        except BaseException:
            # A setup that fails has no teardown: nothing else would end this process.
            how = self.generator.stop().how
            self.run.directory.record(LoadStopped(session=self.number, how=how))
            raise
        log.info("Load session %d runs and writes to %s", self.number, self.generator.directory)

    def measure_baseline(self, step: str = "") -> list[Verdict]:
        """Measure the cloud for limits.load.baseline_seconds; return the verdicts.

        :param step: where it is measured again, in mid-upgrade; empty for the undisturbed cloud
        """
        start = self.run.clock.now()
        self.run.clock.sleep(self.limits.baseline_seconds)
        end = self.run.clock.now()
        baseline = merge(self.generator.samples(), start=start, end=end)
        self.run.directory.record(BaselineMeasured(
            session=self.number, start=start, end=end, p99=baseline.percentile(99),
            p50=baseline.percentile(50), rate=baseline.rate, requests=baseline.requests,
            step=step,
        ))  # fmt: skip
        if step:
            return judge_baseline_again(baseline, self._undisturbed(), self.limits)
        return [judge_baseline(baseline, self.limits)]

    def baseline(self) -> Window | None:
        """Return the undisturbed cloud, or None if this session has measured no baseline."""
        event = self.run.directory.last(BaselineMeasured)
        if event is None or event.session != self.number:
            return None
        return self._undisturbed()

    def _undisturbed(self) -> Window | None:
        event = undisturbed(self.run.directory.events(BaselineMeasured))
        if event is None:
            return None
        samples = self._generator(event.session).samples()
        return merge(samples, start=event.start, end=event.end)

    def baseline_accepted(self) -> bool:
        """Tell whether a look at the load was good in this run: the cloud may be changed since."""
        looks = [event.verdicts for event in self.run.directory.events(Judged)]
        return any(
            not failed(look) and any(verdict.witness == WITNESS for verdict in look)
            for look in looks
        )

    def judge(self) -> list[Verdict]:
        """Return one verdict for each question about the load since the last look."""
        if self.ended_on_purpose():
            return [judge_ended(self.number)]
        now = self.run.clock.now()
        window = window_since(self.generator.samples(), self._last_look(), now, self.limits)
        session = with_unwritten_failures(merge(self.all_samples()), self.generator.failures())
        return [
            self.generator.verdict(),
            *judge(
                window, self.baseline(), self.limits, now, session=session,
                rate=self.profile.rate,
            ),
            *self._seen_before(),
        ]  # fmt: skip

    def wait_enough_requests(self, seconds: float) -> Verdict:
        """Let the load go on until the session proves enough, at most ``seconds`` longer."""
        end = self.run.clock.elapsed() + seconds
        while True:
            verdict = judge_session(merge(self.all_samples()), self.limits)
            if verdict.ok or self.run.clock.elapsed() > end or not self.generator.is_alive():
                return verdict
            self.run.clock.sleep(2)

    def stop(self) -> LoadEnd | None:
        """End the session on purpose; harmless if none runs."""
        if not self.number or self._stopped():
            return None
        ended = self.generator.stop()
        stopped = LoadStopped(session=self.number, how=ended.how, died=ended.died)
        self.run.directory.record(stopped)
        return ended

    def ended_on_purpose(self) -> bool:
        """Tell whether the newest session was ended by us, rather than having died."""
        event = self._end()
        return event is not None and not event.died

    def sessions(self) -> list[LoadGenerator]:
        """Return every session of this run, the oldest first."""
        return [self._generator(number) for number in range(1, self.number + 1)]

    def all_samples(self) -> list[Sample]:
        """Return the samples of every session of this run: its failure budget is one."""
        return [sample for session in self.sessions() for sample in session.samples()]

    def _stopped(self) -> bool:
        return self._end() is not None

    def _end(self) -> LoadStopped | None:
        event = self.run.directory.last(LoadStopped)
        return event if event is not None and event.session == self.number else None

    def _looks(self) -> list[Judged]:
        started = self.run.directory.last(LoadStarted)
        since = started.t if started else 0.0
        return [event for event in self.run.directory.events(Judged) if event.t >= since]

    def _last_look(self) -> float:
        # watch_load looks all the time; a boundary judges all since the boundary before.
        looks = [event.t for event in self._looks() if event.look is not Look.WATCH]
        return max(looks, default=self.run.clock.now())

    def _seen_before(self) -> list[Verdict]:
        """Return the violations that earlier looks at this session found: they stay violations."""
        seen = (verdict for event in self._looks() for verdict in failed(event.verdicts))
        return [verdict for verdict in seen if verdict.witness == WITNESS][:1]
