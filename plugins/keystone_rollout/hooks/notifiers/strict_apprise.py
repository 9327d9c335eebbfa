"""Send through Apprise and notice a failed delivery, which the provider's hook does not.

It is imported only if a cloud file names Apprise, because its provider may not be installed.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import apprise
from airflow.providers.apprise.notifications.apprise import AppriseNotifier


class NotDelivered(RuntimeError):
    """The services that did not take a message."""


class StrictAppriseNotifier(AppriseNotifier):
    """A notifier that raises NotDelivered unless every service of the connection took the message.

    It sends one after another, in the calling thread: Apprise's own threads would keep a process
    alive.
    """

    @cached_property
    def services(self) -> apprise.Apprise:
        """Return the connection's services; the first time, Apprise loads all that it knows.

        That is work without the network, and takes seconds on a busy machine.
        """
        connection = self.hook.get_connection(self.apprise_conn_id)
        services = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False))
        self.hook.set_config_from_conn(conn=connection, apprise_obj=services)
        if not len(services):
            raise NotDelivered("no service of the connection has a URL that Apprise knows")
        return services

    def notify(self, context: Any) -> None:
        """Send, and check the delivery."""
        result = self.services.notify(
            body=self.body, title=self.title or "", body_format=self.body_format
        )
        if not result:
            raise NotDelivered("; ".join(map(_in_words, result)) or result.status.name.lower())


def _in_words(service: Any) -> str:
    said = next((entry.message for entry in service.logs()), "")
    return f"{service.name}: {service.status.name.lower()} {said}".strip()
