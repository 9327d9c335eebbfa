"""Notify people of the events of a run; the run goes on even if that fails."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow.sdk import Connection

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.cloud.notifications import Message, Notification
from keystone_rollout.domain.run.events import Delivery, Noted, Notified
from keystone_rollout.domain.run.systems import Record
from keystone_rollout.procedures.run.systems import outside

log = logging.getLogger(__name__)

SECONDS = 10
"""Limit for all receivers of one message together; they are told at the same time."""


@dataclass
class _Delivery:
    """One notification, sent in a thread that nobody has to wait for."""

    settings: Notification
    clock: Clock
    notifier: Any = None
    error: BaseException | None = None
    began: float = 0.0
    seconds: float | None = None
    thread: threading.Thread | None = None

    def prepare(self, message: Message) -> None:
        """Load the notifier, without asking the receiver anything."""
        try:
            self.notifier = outside().notifiers.make(self.settings, message, SECONDS)
        except Exception as error:
            self.error, self.seconds = error, 0.0

    def start(self) -> None:
        """Begin to send, unless that is impossible."""
        if self.notifier is None:
            return
        self.began = self.clock.elapsed()
        # A daemon: the task's process ends even if the other side never answers.
        self.thread = threading.Thread(target=self._send, name="notification", daemon=True)
        self.thread.start()

    def _send(self) -> None:
        try:
            # `notify`, not the call itself, which would render other people's text as a template.
            self.notifier.notify({})
        except BaseException as error:
            self.error = error
        self.seconds = self.clock.elapsed() - self.began

    def outcome(self, deadline: float) -> dict[str, Any]:
        """Wait until the deadline at most; return the fields of the run's event."""
        if self.thread is not None:
            self.thread.join(max(0.0, deadline - self.clock.elapsed()))
        fields = {"via": self.settings.via, "connection": self.settings.connection}
        if self.seconds is None:
            text = f"no answer within {SECONDS} s; it may still arrive"
            return {**fields, "state": Delivery.FAILED, "error": text}
        if self.error is None:
            return {**fields, "state": Delivery.SENT, "seconds": round(self.seconds, 2)}
        text = f"{type(self.error).__name__}: {' '.join(str(self.error).split())}"
        if self.notifier is not None:
            text = without_secrets(text, self.notifier.hook.get_connection(""))
        return {**fields, "state": Delivery.FAILED, "error": text[:300]}


def tell(cloud: Cloud, directory: Record, make: Callable[[], Message]) -> None:
    """Send a message to everybody who asked for it, and record the outcome.

    ``make`` returns the message; it is called only if there is a receiver. Takes
    SECONDS at most beside that, and never raises.
    """
    if not cloud.notifications:
        return
    try:
        message = make()
        deliveries = [_Delivery(each, directory.clock) for each in cloud.notifications
                      if message.happening in each.events]  # fmt: skip
        for delivery in deliveries:
            delivery.prepare(message)
        deadline = directory.clock.elapsed() + SECONDS
        for delivery in deliveries:
            delivery.start()
        for delivery in deliveries:
            fields = delivery.outcome(deadline)
            directory.record(Notified(happening=message.happening, **fields))
            log.log(logging.INFO if fields["state"] is Delivery.SENT else logging.WARNING,
                    "Notification '%s': %s", message.happening, fields)  # fmt: skip
    except Exception:
        log.exception("Nobody was told; the run goes on")


def warn_unreachable(cloud: Cloud, directory: Record) -> None:
    """Log and record which notifications will not arrive; none of them stops a run."""
    for settings in cloud.notifications:
        missing = outside().notifiers.problem(settings)
        if missing:
            text = (
                f"notifications through {settings.via} will not arrive: {missing}. The run goes on "
                "without them. Next: docs/notifications.md says what each of them needs"
            )
            log.warning(text)
            directory.record(Noted(text=text))


def without_secrets(text: str, connection: Connection) -> str:
    """Return a text without possible secrets of a connection."""
    extra = connection.extra_dejson
    hidden = [connection.password or "", *(str(extra.get(key, "")) for key in SECRET_EXTRAS)]
    for secret in hidden:
        for piece in sorted({secret, *re.split(r"""[/:@?&=\s"',{}\[\]]+""", secret)}, key=len)[
            ::-1
        ]:
            if len(piece) >= 6:
                text = text.replace(piece, "***")
    return text


SECRET_EXTRAS = ("config", "access_token", "client_secret")
