"""Notifications arrive through the providers' notifiers, or are recorded as not delivered.

The providers are imported here, so that this module fails where one of them is not installed.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import airflow.providers.apprise.notifications.apprise
import airflow.providers.slack.notifications.slack_webhook
import airflow.providers.smtp.notifications.smtp  # noqa: F401
import pytest

import keystone_rollout.hooks.notifiers.choice
import keystone_rollout.procedures.run.notification
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.cloud.notifications import Message, Notification
from keystone_rollout.domain.run.events import Noted, Notified
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.hooks.notifiers.choice import connection_of, problem
from keystone_rollout.procedures.run.notification import tell, warn_unreachable, without_secrets
from tests.free_port import free_port
from tests.local_receivers import mail_server, silent_server, webhook

TOKEN = "T0SECRET1/B0SECRET2/x0SECRET3"
MESSAGE = Message(
    "halted", "[lab] HALTED: <gap>", "measured {{ 7 * 6 }} s & limit 10 s\nnext: look"
)


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory("run", tmp_path)


Connect = Callable[[str, int], Notification]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Define a connection to a port of this machine; return what a cloud file says about it."""

    def define(via: str, port: int) -> Notification:
        connection: dict[str, Any] = {
            "smtp": {
                "host": "127.0.0.1",
                "port": port,
                "extra": {"from_email": "a@here.test", "disable_ssl": True, "disable_tls": True},
            },
            "slack": {"host": f"http://127.0.0.1:{port}/services", "password": TOKEN},
            "apprise": {"extra": {"config": {"path": f"json://127.0.0.1:{port}/{TOKEN}"}}},
        }[via]
        kind = {"slack": "slackwebhook"}.get(via, via)
        text = json.dumps({"conn_type": kind, **connection})
        monkeypatch.setenv(f"AIRFLOW_CONN_TO_{via.upper()}", text)
        return entry(via)

    return define


def entry(via: str, **more: Any) -> Notification:
    to = {"to": ["b@there.test", "c@there.test"]} if via == "smtp" else {}
    return Notification.model_validate({"via": via, "connection": f"to_{via}", **to, **more})


def cloud(*notifications: Notification) -> Cloud:
    return load_cloud("lab").model_copy(update={"notifications": list(notifications)})


def told(directory: RunDirectory, *notifications: Notification) -> list[dict[str, Any]]:
    """Tell about the message; return what was recorded, without the times."""
    tell(cloud(*notifications), directory, lambda: MESSAGE)
    events = [vars(each) for each in directory.events(Notified)]
    return [{key: each[key] for key in each if key != "t" and each[key]} for each in events]


def test_a_mail_arrives_at_everybody_with_what_happened(
    directory: RunDirectory, connect: Connect
) -> None:
    with mail_server() as (port, mailbox):
        (event,) = told(directory, connect("smtp", port))
    assert (event["state"], event["happening"], event["via"]) == ("sent", "halted", "smtp"), event
    envelope, mail = mailbox.mail()
    assert envelope.mail_from == "a@here.test"
    assert envelope.rcpt_tos == ["b@there.test", "c@there.test"]
    assert mail["Subject"] == MESSAGE.subject
    (part,) = mail.iter_parts()
    # How its lines end depends on its encoding, and Apprise changes that for its whole process.
    text = part.get_content().replace("\r\n", "\n")
    assert "measured {{ 7 * 6 }} s &amp; limit 10 s\nnext: look</pre>" in text


def test_slack_gets_the_text_with_its_markup_escaped(
    directory: RunDirectory, connect: Connect
) -> None:
    with webhook() as server:
        (event,) = told(directory, connect("slack", server.server_address[1]))
    assert event["state"] == "sent"
    assert server.posted == [(
        f"/services/{TOKEN}",
        {"text": "[lab] HALTED: &lt;gap&gt;\nmeasured {{ 7 * 6 }} s &amp; limit 10 s\nnext: look"},
    )]  # fmt: skip


def test_apprise_gets_title_and_body(directory: RunDirectory, connect: Connect) -> None:
    with webhook() as server:
        (event,) = told(directory, connect("apprise", server.server_address[1]))
    assert event["state"] == "sent"
    ((_path, posted),) = server.posted
    assert (posted["title"], posted["message"]) == (MESSAGE.subject, MESSAGE.body)


@pytest.mark.parametrize(
    ("via", "error"),
    [("smtp", "ConnectionRefusedError: "), ("slack", "URLError: "), ("apprise", "NotDelivered: ")],
)
def test_a_server_that_is_gone_is_recorded(
    via: str, error: str, directory: RunDirectory, connect: Connect
) -> None:
    (event,) = told(directory, connect(via, free_port()))
    assert event["state"] == "failed"
    assert event["error"].startswith(error)
    assert "SECRET" not in event["error"]


@pytest.mark.parametrize("via", ["slack", "apprise"])
def test_a_server_that_answers_500_is_recorded(
    via: str, directory: RunDirectory, connect: Connect
) -> None:
    with webhook(500) as server:
        (event,) = told(directory, connect(via, server.server_address[1]))
    assert event["state"] == "failed"
    assert "500" in event["error"]
    assert "SECRET" not in event["error"]


def test_a_mail_server_that_refuses_is_recorded(directory: RunDirectory, connect: Connect) -> None:
    with mail_server("554 not from you") as (port, _mailbox):
        (event,) = told(directory, connect("smtp", port))
    assert event["state"] == "failed"
    assert "554" in event["error"]
    assert "not from you" in event["error"]


def test_servers_that_hang_cost_the_bounded_time_once_and_hold_nobody_else_up(
    directory: RunDirectory, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keystone_rollout.procedures.run.notification.SECONDS == 10
    monkeypatch.setattr("keystone_rollout.procedures.run.notification.SECONDS", 2)
    with silent_server() as hung, webhook() as server:
        silent = [connect("smtp", hung), connect("apprise", hung)]
        began = time.monotonic()
        events = told(directory, *silent, connect("slack", server.server_address[1]))
        took = time.monotonic() - began
    assert [each["state"] for each in events] == ["failed", "failed", "sent"]
    assert {each["error"] for each in events[:2]} == {"no answer within 2 s; it may still arrive"}
    # A mail server alone would be waited for for 30 s; the rest is for a machine that is busy.
    assert 2 <= took < 20
    assert len(server.posted) == 1


def test_only_who_asked_for_an_event_is_told_of_it(
    directory: RunDirectory, connect: Connect
) -> None:
    with webhook() as server:
        connect("slack", server.server_address[1])
        assert told(directory, entry("slack", events=["started", "finished"])) == []
        assert server.posted == []
        assert len(told(directory, entry("slack", events=["halted"]))) == 1


def test_without_receivers_no_message_is_made(directory: RunDirectory) -> None:
    tell(cloud(), directory, lambda: pytest.fail("a message was made for nobody"))
    assert directory.all_events() == []


def test_a_message_that_cannot_be_made_stops_nothing(
    directory: RunDirectory, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Message:
        raise KeyError("load")

    tell(cloud(connect("slack", free_port())), directory, broken)
    assert "Nobody was told; the run goes on" in caplog.text


def test_a_missing_connection_is_said_beforehand_and_recorded_when_it_counts(
    directory: RunDirectory,
) -> None:
    assert problem(entry("slack")) == "there is no connection to_slack"
    (event,) = told(directory, entry("slack"))
    assert event["error"] == "NotifierMissing: there is no connection to_slack"
    warn_unreachable(cloud(entry("slack")), directory)
    assert [each.text for each in directory.events(Noted)] == [
        "notifications through slack will not arrive: there is no connection to_slack. The run "
        "goes on without them. Next: docs/notifications.md says what each of them needs"
    ]


@pytest.mark.parametrize(
    ("via", "lacking"),
    [
        (
            "smtp",
            "host, no from_email in its extra, no disable_ssl (STARTTLS, port 587) or disable_tls "
            "(TLS, port 465) in its extra",
        ),
        ("slack", "password, the webhook's token"),
        ("apprise", "config in its extra"),
    ],
)
def test_what_a_connection_lacks_is_named(
    via: str, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_TO_{via.upper()}", '{"conn_type": "generic"}')
    assert problem(entry(via)) == f"connection to_{via} has no {lacking}"


@pytest.mark.parametrize("via", ["smtp", "slack", "apprise"])
def test_a_complete_connection_is_no_problem(
    via: str, directory: RunDirectory, connect: Connect
) -> None:
    settings = connect(via, 25)
    assert problem(settings) == ""
    warn_unreachable(cloud(settings), directory)
    assert directory.all_events() == []


def test_a_provider_that_is_not_installed_is_named_and_the_others_go_on(
    directory: RunDirectory, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_slack(name: str) -> Any:
        if name.startswith("airflow.providers.slack"):
            raise ModuleNotFoundError("No module named 'airflow.providers.slack'")
        return importlib.import_module(name)

    monkeypatch.setattr(keystone_rollout.hooks.notifiers.choice, "import_module", without_slack)
    with mail_server() as (port, mailbox):
        slack, mail = connect("slack", port), connect("smtp", port)
        lacking, sent = told(directory, slack, mail)
    assert problem(slack) == (
        "provider apache-airflow-providers-slack is not installed (No module named "
        "'airflow.providers.slack')"
    )
    assert problem(mail) == ""
    assert lacking["state"] == "failed"
    assert "apache-airflow-providers-slack" in lacking["error"]
    assert sent["state"] == "sent"
    assert len(mailbox.envelopes) == 1


def test_an_apprise_url_of_no_known_service_is_not_taken_for_delivered(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"config": [{"path": "nonsense://here"}]}
    text = json.dumps({"conn_type": "apprise", "extra": extra})
    monkeypatch.setenv("AIRFLOW_CONN_TO_APPRISE", text)
    (event,) = told(directory, entry("apprise"))
    assert event["error"] == (
        "NotDelivered: no service of the connection has a URL that Apprise knows"
    )


def test_one_of_two_apprise_services_that_fails_is_named(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as good, webhook(500) as bad:
        paths = [{"path": f"json://{each.address}"} for each in (bad, good)]
        text = json.dumps({"conn_type": "apprise", "extra": {"config": paths}})
        monkeypatch.setenv("AIRFLOW_CONN_TO_APPRISE", text)
        (event,) = told(directory, entry("apprise"))
        assert len(good.posted) == 1
    assert event["state"] == "failed"
    assert event["error"].count("failure") == 1


def test_an_error_that_repeats_the_webhooks_address_is_recorded_without_it(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "http://127.0.0.1:1/services/T0SECRET1 /B0SECRET2"
    text = json.dumps({"conn_type": "slackwebhook", "password": address})
    monkeypatch.setenv("AIRFLOW_CONN_TO_SLACK", text)
    (event,) = told(directory, entry("slack"))
    assert event["error"].startswith("InvalidURL: ")
    assert "***" in event["error"]
    assert "SECRET" not in event["error"]


def test_no_part_of_a_secret_is_left_in_an_error(connect: Connect) -> None:
    slack = connection_of(connect("slack", 80))
    text = f"unknown url type: 'htp://x/{TOKEN}', then only x0SECRET3"
    assert "SECRET" not in without_secrets(text, slack)
    apprise_connection = connection_of(connect("apprise", 80))
    assert "SECRET" not in without_secrets(f"cannot post to /{TOKEN}", apprise_connection)
