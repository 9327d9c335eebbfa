"""Ask a running Airflow by its API, as a user who has logged in."""

import time
from dataclasses import dataclass
from typing import Any

import requests

from lab.errors import LabError
from production.secret_files import read_password

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
TIMEOUT_S = 10.0
POLL_S = 2.0


@dataclass(frozen=True)
class Page:
    """Talk to the page under an address."""

    address: str

    def health(self) -> dict[str, str]:
        """Return what each component says of itself; empty where nobody answers."""
        try:
            answer = requests.get(f"{self.address}/api/v2/monitor/health", timeout=TIMEOUT_S).json()
        except (requests.RequestException, ValueError):
            return {}
        return {name: str(answer.get(name, {}).get("status")) for name in COMPONENTS}

    def wait_until_healthy(self, seconds: float) -> None:
        """Return once all components are healthy; LabError with the others after that time."""
        end = time.monotonic() + seconds
        while True:
            health = self.health()
            if health and set(health.values()) == {"healthy"}:
                return
            if time.monotonic() > end:
                found = ", ".join(f"{name} {state}" for name, state in health.items())
                raise LabError(
                    f"Airflow is not healthy after {seconds:g} s: {found or 'nobody answers'} on "
                    f"{self.address}. Next: read docker-compose --env-file .airflow/compose.env "
                    "logs"
                )
            time.sleep(POLL_S)

    def log_in(self, user: str) -> dict[str, str]:
        """Return the headers of a user's requests."""
        answer = requests.post(
            f"{self.address}/auth/token",
            json={"username": user, "password": read_password(user)},
            timeout=TIMEOUT_S,
        )
        if not answer.ok:
            raise LabError(
                f"{self.address} refuses user {user} with the password in .airflow/login: "
                f"{answer.status_code}. Next: is it another Airflow that listens there?"
            )
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def get(self, path: str, headers: dict[str, str]) -> Any:
        """Return the answer to one question."""
        answer = requests.get(f"{self.address}{path}", headers=headers, timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def wait_for_dags(self, wanted: set[str], seconds: float) -> None:
        """Return once Airflow has read the DAGs; LabError with what it could not import."""
        headers = self.log_in("viewer")
        end = time.monotonic() + seconds
        while True:
            known = {dag["dag_id"] for dag in self.get("/api/v2/dags?limit=100", headers)["dags"]}
            broken = self.get("/api/v2/importErrors", headers)["import_errors"]
            if broken:
                text = "; ".join(f"{each['filename']}: {each['stack_trace']}" for each in broken)
                raise LabError(f"Airflow cannot import {len(broken)} DAG file(s): {text[-1500:]}")
            if wanted <= known:
                return
            if time.monotonic() > end:
                missing = ", ".join(sorted(wanted - known))
                raise LabError(f"Airflow does not know DAG {missing} after {seconds:g} s")
            time.sleep(POLL_S)
