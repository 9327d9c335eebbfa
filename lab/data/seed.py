"""Fill the lab's Keystone through its API, so that it looks like one in use."""

import json
import secrets as random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from keystoneauth1 import session as keystone_session
from keystoneauth1.adapter import Adapter
from keystoneauth1.exceptions import Conflict
from keystoneauth1.identity import v3

from keystone_rollout.domain.load.credentials import derive_password
from lab.topology import PUBLIC_URL
from machine.progress import Step

USERS = 2000
PROJECTS = 200
# Each assignment empties the caches: five times as many would take most of the time.
ASSIGNMENTS = 400
CREDENTIALS = 250
ROLES = ("member", "reader")
THREADS = 8


@dataclass
class Progress:
    """The number of finished requests, for the step's bar."""

    step: Step
    total: int
    done: int = 0

    def one(self) -> None:
        """Count one."""
        self.done += 1
        self.step.advance(self.done, self.total)


def api(password: str, pool: int = THREADS) -> Adapter:
    """Return Keystone's API as the cloud's administrator."""
    auth = v3.Password(
        auth_url=PUBLIC_URL,
        username="admin",
        password=password,
        user_domain_name="Default",
        project_name="admin",
        project_domain_name="Default",
    )
    session = keystone_session.Session(auth=auth)
    session.session.mount("http://", keystone_session.TCPKeepAliveAdapter(pool_maxsize=pool))
    return Adapter(session=session, endpoint_override=PUBLIC_URL)


def create(keystone: Adapter, kind: str, body: dict[str, Any]) -> str:
    """Create one *kind* (``user``, ``project``, ``role``); return its id, also if it exists."""
    try:
        answer = keystone.post(f"/{kind}s", json={kind: body})
    except Conflict:
        found = keystone.get(f"/{kind}s?name={body['name']}").json()[f"{kind}s"]
        return str(found[0]["id"])
    return str(answer.json()[kind]["id"])


def fill(password: str, key: str, step: Step) -> None:
    """Create users, projects, role assignments and credentials; a second run adds nothing.

    The users' passwords derive from ``key``.
    """
    keystone = api(password)
    progress = Progress(step, len(ROLES) + PROJECTS + USERS + ASSIGNMENTS + CREDENTIALS)
    with ThreadPoolExecutor(THREADS) as pool:

        def each(function: Callable[[int], str], numbers: Iterable[int]) -> list[str]:
            def counted(number: int) -> str:
                result = function(number)
                progress.one()
                return result

            return list(pool.map(counted, numbers))

        roles = each(lambda n: create(keystone, "role", {"name": ROLES[n]}), range(len(ROLES)))
        projects = each(lambda n: create(keystone, "project", _project(n)), range(PROJECTS))
        users = each(lambda n: create(keystone, "user", _user(n, key)), range(USERS))

        def assign(number: int) -> str:
            project, role = projects[number % PROJECTS], roles[number % len(roles)]
            keystone.put(f"/projects/{project}/users/{users[number]}/roles/{role}")
            return ""

        def add_credential(number: int) -> str:
            _create_credential(keystone, users[number], projects[number % PROJECTS], number)
            return ""

        each(assign, range(ASSIGNMENTS))
        each(add_credential, range(CREDENTIALS))


def _project(number: int) -> dict[str, Any]:
    return {
        "name": f"seed-project-{number:04d}",
        "domain_id": "default",
        "description": f"project {number} of the lab",
    }


def user_name(number: int) -> str:
    """Return the name of one of the lab's users."""
    return f"seed-user-{number:04d}"


def user_password(key: str, name: str) -> str:
    """Return a user's password, derived again whenever somebody wants to log in as it."""
    return derive_password(key, name, 0)


def _user(number: int, key: str) -> dict[str, Any]:
    name = user_name(number)
    return {
        "name": name,
        "domain_id": "default",
        "password": user_password(key, name),
        "email": f"{name}@example.org",
        "description": f"user {number} of the lab",
    }


def _create_credential(keystone: Adapter, user: str, project: str, number: int) -> None:
    """Create an EC2 credential; its id derives from the access key, so a second one conflicts."""
    blob = {"access": f"seed-access-{number:04d}", "secret": random.token_hex(16)}
    body = {"type": "ec2", "user_id": user, "project_id": project, "blob": json.dumps(blob)}
    try:
        keystone.post("/credentials", json={"credential": body})
    except Conflict:
        return


def bootstrap_arguments() -> list[str]:
    """Return the arguments of ``keystone-manage bootstrap``, without the password."""
    base = PUBLIC_URL
    urls = [f"--bootstrap-{kind}-url={base}" for kind in ("admin", "public", "internal")]
    return ["bootstrap", *urls, "--bootstrap-region-id=RegionOne"]
