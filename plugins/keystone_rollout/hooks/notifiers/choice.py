"""Make the notifier that a cloud file asks for, from the provider that has it."""

from __future__ import annotations

import html
from importlib import import_module
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from keystone_rollout.domain.cloud.notifications import Message, Notification, Way


class NotifierMissing(RuntimeError):
    """A notifier that lacks its provider, its connection, or a field of that."""


def connection_of(settings: Notification) -> Connection:
    """Return the connection; NotifierMissing names the fields that it lacks."""
    try:
        connection = BaseHook.get_connection(settings.connection)
    except AirflowNotFoundException as error:
        raise NotifierMissing(f"there is no connection {settings.connection}") from error
    extra = connection.extra_dejson
    needed: dict[Way, dict[str, Any]] = {
        "smtp": {
            "host": connection.host,
            "from_email in its extra": extra.get("from_email"),
            # With neither, the hook asks for STARTTLS within TLS, which no server offers.
            "disable_ssl (STARTTLS, port 587) or disable_tls (TLS, port 465) in its extra": (
                extra.get("disable_ssl") or extra.get("disable_tls")
            ),
        },
        "slack": {"password, the webhook's token": connection.password},
        "apprise": {"config in its extra": extra.get("config")},
    }
    lacking = [name for name, value in needed[settings.via].items() if not value]
    if lacking:
        raise NotifierMissing(f"connection {settings.connection} has no {', no '.join(lacking)}")
    if settings.via == "apprise":
        # URLs that hold tokens: nothing else knows that this extra is a secret.
        mask_secret(extra["config"])
    return connection


def notifier_class(via: Way) -> Any:
    """Return the notifier's class; NotifierMissing names the provider that is not installed.

    Imported only here, so that an installation without the other providers works.
    """
    module, name = {
        "smtp": ("airflow.providers.smtp.notifications.smtp", "SmtpNotifier"),
        "slack": ("airflow.providers.slack.notifications.slack_webhook", "SlackWebhookNotifier"),
        "apprise": ("keystone_rollout.hooks.notifiers.strict_apprise", "StrictAppriseNotifier"),
    }[via]
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise NotifierMissing(
            f"provider apache-airflow-providers-{via} is not installed ({error})"
        ) from error


def make_notifier(settings: Notification, message: Message, seconds: int) -> Any:
    """Return a notifier that is ready to be called from another thread.

    The connection is read here: Airflow's channel to its supervisor serves one thread at a time.
    ``seconds`` bounds single network calls where the notifier can be told to.
    """
    make = {"smtp": _smtp, "slack": _slack, "apprise": _apprise}[settings.via]
    connection, notifier = connection_of(settings), make(settings, message, seconds)
    notifier.hook.get_connection = lambda _id: connection
    if settings.via == "apprise":
        _ = notifier.services  # loaded here, so that it does not count as the receiver's time
    return notifier


def problem(settings: Notification) -> str:
    """Return why this notification will not arrive, or an empty text."""
    try:
        notifier_class(settings.via)
        connection_of(settings)
    except NotifierMissing as missing:
        return str(missing)
    except Exception as error:  # a check of what may never stop a run
        return f"connection {settings.connection} cannot be read ({type(error).__name__})"
    return ""


def _smtp(settings: Notification, message: Message, seconds: int) -> Any:
    # The notifier sends nothing but HTML.
    body = f'<pre style="white-space: pre-wrap">{html.escape(message.body)}</pre>'
    return notifier_class("smtp")(
        smtp_conn_id=settings.connection,
        to=list(settings.to),
        subject=message.subject,
        html_content=body,
    )


def _slack(settings: Notification, message: Message, seconds: int) -> Any:
    # Slack reads & < > as markup, and asks for these three to be escaped.
    text = html.escape(f"{message.subject}\n{message.body}", quote=False)
    return notifier_class("slack")(
        slack_webhook_conn_id=settings.connection, text=text, timeout=seconds
    )


def _apprise(settings: Notification, message: Message, seconds: int) -> Any:
    return notifier_class("apprise")(
        apprise_conn_id=settings.connection, title=message.subject, body=message.body
    )
