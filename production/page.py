"""Ask a running Airflow by its API, as a user who has logged in."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from machine.errors import CommandError
from production.secret_files import read_password

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
SILENT = "silent since the start"
"""State of a component whose last heartbeat is that of a process that is gone."""

TIMEOUT_S = 30.0
"""For one answer; the first ones of a page that has just started take a while."""

POLL_S = 2.0
LOGS = "docker-compose --env-file .airflow/compose.env logs"


@dataclass(frozen=True)
class Page:
    """Airflow's page under an address."""

    address: str

    def health(self, since: datetime | None = None) -> dict[str, str]:
        """Return the state of each component; empty if nobody answers.

        Airflow calls one healthy for 30 s after its last heartbeat, also when it was ended
        meanwhile; with ``since`` (with a time zone) a heartbeat has to be later than that.
        """
        try:
            answer = requests.get(f"{self.address}/api/v2/monitor/health", timeout=TIMEOUT_S).json()
        except (requests.RequestException, ValueError):
            return {}
        return {name: _state(name, answer.get(name, {}), since) for name in COMPONENTS}

    def wait_until_healthy(self, seconds: float, since: datetime | None = None) -> None:
        """Return once all components are healthy; CommandError names the others after that time."""
        health: dict[str, str] = {}
        for _ in _until(seconds):
            health = self.health(since)
            if health and set(health.values()) == {"healthy"}:
                return
        found = ", ".join(f"{name} {state}" for name, state in health.items())
        raise CommandError(
            f"Airflow is not healthy after {seconds:g} s: {found or 'nobody answers'} on "
            f"{self.address}. Next: read {LOGS}"
        )

    def log_in(self, user: str) -> dict[str, str]:
        """Return the headers of a user's requests; CommandError if the password is refused."""
        answer = requests.post(
            f"{self.address}/auth/token",
            json={"username": user, "password": read_password(user)},
            timeout=TIMEOUT_S,
        )
        if answer.status_code == requests.codes.unauthorized:
            raise CommandError(
                f"{self.address} refuses user {user} with the password in .airflow/login: "
                f"{answer.status_code}. Next: is it another Airflow that listens there?"
            )
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def get(self, path: str, headers: dict[str, str]) -> Any:
        """Return the answer to one question."""
        answer = requests.get(f"{self.address}{path}", headers=headers, timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def wait_for_dags(self, wanted: set[str], seconds: float, since: datetime) -> None:
        """Return once Airflow has read the DAGs; CommandError with the import errors.

        Only readings after ``since`` (with a time zone) count: DAGs and errors of earlier readings,
        which its database keeps, may be those of other files.
        """
        problem = "nothing was asked"
        for _ in _until(seconds):
            try:
                missing = self._missing_dags(wanted, since)
            except requests.RequestException as error:
                problem = f"{self.address} did not answer ({type(error).__name__})"
                continue
            if not missing:
                return
            problem = f"Airflow has not read DAG {', '.join(sorted(missing))}"
        raise CommandError(f"{problem} after {seconds:g} s. Next: read {LOGS}")

    def _missing_dags(self, wanted: set[str], since: datetime) -> set[str]:
        headers = self.log_in("viewer")
        errors = self.get("/api/v2/importErrors", headers)["import_errors"]
        broken = [each for each in errors if _is_after(each["timestamp"], since)]
        if broken:
            text = "; ".join(f"{each['filename']}: {each['stack_trace']}" for each in broken)
            raise CommandError(f"Airflow cannot import {len(broken)} DAG file(s): {text[-1500:]}")
        known = self.get("/api/v2/dags?limit=100", headers)["dags"]
        return wanted - {
            dag["dag_id"] for dag in known if _is_after(dag["last_parsed_time"], since)
        }


def _state(name: str, answer: dict[str, Any], since: datetime | None) -> str:
    """Return the status of one component; the database has no heartbeat."""
    status = str(answer.get("status"))
    if status != "healthy" or since is None or name == "metadatabase":
        return status
    return status if _is_after(answer.get(f"latest_{name}_heartbeat"), since) else SILENT


def _is_after(time_: str | None, since: datetime) -> bool:
    """Tell whether a time of Airflow's, which may be missing, is later than another one."""
    return time_ is not None and datetime.fromisoformat(time_) > since


def _until(seconds: float) -> Iterator[None]:
    """Yield once, and then every POLL_S seconds until the time is over."""
    end = time.monotonic() + seconds
    yield
    while time.monotonic() < end:
        time.sleep(POLL_S)
        yield
