"""The database's content at the source release: made once for a build, then restored."""

import json
import time
from pathlib import Path

import docker
from keystoneauth1.exceptions import ClientException

from lab import paths
from lab.cloud import balancer, database, nodes, secrets
from lab.data import seed
from lab.releases.builds import Build
from lab.topology import MEMCACHED_CONTAINERS, NODES, PUBLIC_URL
from machine import engine
from machine.errors import CommandError
from machine.progress import Report

SERVE_TIMEOUT_S = 60.0


def dump_file(build: Build) -> Path:
    """Return the dump of the lab's data at *build*."""
    return paths.SEED / f"{build.key}.sql.gz"


def stamp_file(build: Build) -> Path:
    """Return the file that describes the inputs and the versions of the dump."""
    return paths.SEED / f"{build.key}.json"


def seed_inputs(build: Build) -> str:
    """Return a hash of the inputs of the data: its source, the keys, the passwords."""
    return engine.digest(
        build.key,
        build.distribution,
        Path(seed.__file__).read_bytes(),
        secrets.load().keystone_admin,
        secrets.load().seed_users,
        (paths.CREDENTIAL_KEYS / "1").read_bytes(),
    )


def expected_versions(build: Build) -> dict[str, str] | None:
    """Return the schema versions of the dump; None if there is no usable dump."""
    stamp = stamp_file(build)
    if not (stamp.exists() and dump_file(build).exists()):
        return None
    content = json.loads(stamp.read_text())
    if content.get("inputs") != seed_inputs(build):
        return None
    return {str(key): str(value) for key, value in content["versions"].items()}


def present() -> str:
    """Return the key of the build whose data the database was last filled with; empty if none.

    The schema's versions do not tell, because two releases may have one schema.
    """
    return paths.PRESENT_SEED.read_text().strip() if paths.PRESENT_SEED.exists() else ""


def restore(client: docker.DockerClient, build: Build) -> None:
    """Fill the database with the dump of *build*."""
    paths.PRESENT_SEED.unlink(missing_ok=True)
    database.restore(client, dump_file(build))
    paths.PRESENT_SEED.write_text(build.key)


def empty_caches(client: docker.DockerClient) -> None:
    """Empty the caches, which hold rows of replaced data."""
    for name in MEMCACHED_CONTAINERS:
        client.containers.get(name).restart(timeout=1)


def create(client: docker.DockerClient, build: Build, report: Report) -> None:
    """Make schema and data at *build* with its own keystone-manage and API, and dump them."""
    password = secrets.load().keystone_admin
    stamp_file(build).unlink(missing_ok=True)
    paths.PRESENT_SEED.unlink(missing_ok=True)
    with report.step(f"schema of keystone {build.version}"):
        database.make_empty()
        empty_caches(client)
        # Triggers are part of some releases' schema; Keystone's account has no SUPER.
        database.execute("SET GLOBAL log_bin_trust_function_creators = 1")
        try:
            nodes.keystone_manage(client, ["db_sync"])
        finally:
            database.reset_globals()
        nodes.keystone_manage(
            client, seed.bootstrap_arguments(), {"OS_BOOTSTRAP_PASSWORD": password}
        )
    wait_until_serving(report)
    with report.step(f"data: {seed.USERS} users, {seed.PROJECTS} projects") as step:
        seed.fill(password, secrets.load().seed_users, step)
    with report.step("dump of the data"):
        database.dump(client, dump_file(build))
        stamp = {"inputs": seed_inputs(build), "versions": database.schema_versions()}
        stamp_file(build).write_text(json.dumps(stamp) + "\n")
        paths.PRESENT_SEED.write_text(build.key)


def wait_until_serving(report: Report) -> None:
    """Wait until HAProxy sends to every node and a token can be issued through it."""
    with report.step("nodes serve behind HAProxy") as step:
        deadline = time.monotonic() + SERVE_TIMEOUT_S
        while (problem := _problem()) is not None:
            step.note(problem)
            if time.monotonic() > deadline:
                raise CommandError(
                    f"the lab does not serve after {SERVE_TIMEOUT_S:.0f} s: {problem}; see: "
                    f"docker logs {NODES[0].container}, and keystone.log and uwsgi.log in "
                    "/var/log/keystone there"
                )
            time.sleep(0.3)


def _problem() -> str | None:
    """Return why the lab does not serve; None when it does."""
    try:
        waiting = [server for server in balancer.servers() if not server.serving]
    except CommandError as error:
        return str(error)
    if waiting:
        return ", ".join(f"{s.name} is {s.operational}/{s.administrative}" for s in waiting)
    try:
        seed.api(secrets.load().keystone_admin).get_token()
    except ClientException as error:
        return f"no token from {PUBLIC_URL}: {type(error).__name__} {error}"
    return None
