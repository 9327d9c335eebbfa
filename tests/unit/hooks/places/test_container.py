"""A container of a real engine, reached from this machine and over SSH."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from keystone_rollout.domain.node.privileges import privilege_problem
from keystone_rollout.domain.places.place import Finished, TimedOut
from keystone_rollout.hooks.haproxy.api import HaproxyError, RuntimeApi, SocketDoor
from keystone_rollout.hooks.places.container import ContainerPlace
from keystone_rollout.hooks.places.local import LocalPlace
from keystone_rollout.hooks.places.shell import ShellPlace
from keystone_rollout.hooks.places.ssh import SshConnection, SshPlace
from machine.images import base
from tests.real_sshd import SSHD, Sshd, running
from tests.stand_ins.in_memory_haproxy import Balancer, in_memory_haproxy

GREETING = "echo Welcome; printf 'no newline \\377'; echo LC_ALL: cannot change locale >&2"
SUDO = """#!/bin/sh
printf '%s\\n' "$*" >>sudo.log
shift
exec "$@"
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the container has under the same name."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def container(shared: Path) -> Iterator[Container]:
    """Start one whose bash greets; it has the programs of this machine, so Python or socat too."""
    (shared / "profile").write_text(f"{GREETING}\n")
    made = docker.from_env().containers.run(
        base("bookworm"), ["sleep", "600"], name=f"places-test-{os.getpid()}", detach=True,
        environment={"BASH_ENV": str(shared / "profile")},
        volumes={"/usr": {"bind": "/usr", "mode": "ro"}, str(shared): {"bind": str(shared)}},
    )  # fmt: skip
    yield made
    made.remove(force=True)


@pytest.fixture(params=["here", "over SSH"])
def place(
    request: pytest.FixtureRequest,
    container: Container,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ShellPlace]:
    assert container.name is not None
    if request.param == "here":
        yield ContainerPlace(LocalPlace(), container.name)
        return
    if SSHD is None:
        pytest.skip("sshd (Debian: openssh-server) is missing")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sudo").write_text(SUDO)
    (tmp_path / "bin" / "sudo").chmod(0o755)
    node = Sshd(tmp_path, greeting=GREETING)
    node.make_keys()
    monkeypatch.setenv("AIRFLOW_CONN_A_NODE", node.connection())
    with running(node):
        host = SshPlace(SshConnection("a_node"))
        yield ContainerPlace(host, container.name, ["sudo", "-n", "docker"])
    exec_line = f"docker exec -i {container.name} bash"
    assert set((tmp_path / "sudo.log").read_text().splitlines()) == {f"-n {exec_line}"}
    assert privilege_problem(f"/usr/bin/{exec_line}") is None


@pytest.mark.lab
def test_noise_of_both_changes_nothing_that_is_read(place: ShellPlace) -> None:
    done = place.run("hostname; cat; echo why >&2; exit 3", input=b"in \xff\x1b[1m\n", limit=20)
    identity, rest = done.output.split("\n", 1)
    assert len(identity) == 12
    assert (done.status, rest) == (3, "in \ufffd\n")
    assert done.errors.endswith("why\n")


@pytest.mark.lab
def test_bytes_go_through(place: ShellPlace) -> None:
    raw, output = bytes(range(256)) * 3000, io.BytesIO()
    assert place.pipe("cat", input=io.BytesIO(raw), output=output, limit=20).status == 0
    assert output.getvalue() == raw


@pytest.mark.lab
def test_what_hangs_is_ended_in_the_container_with_its_group(
    place: ShellPlace, container: Container
) -> None:
    """Ending `docker exec` ends nothing in a container; a number of ours would say nothing."""
    name = f"hanging-{time.monotonic_ns()}"
    loop = f"exec -a {name} bash -c \"trap '' TERM; while :; do sleep 1; done\""
    with pytest.raises(TimedOut) as caught:
        place.run(f"({loop}) & echo begun; pgrep -c -f '^{name}'; wait", limit=2)
    assert caught.value.finished.output.startswith("begun\n")
    end = time.monotonic() + 10
    while container.exec_run(["pgrep", "-f", f"^{name}"]).exit_code == 0:
        assert time.monotonic() < end, "the grandchild is still there"
        time.sleep(0.2)


@pytest.mark.lab
def test_haproxys_socket_in_it_is_reached(place: ShellPlace, shared: Path) -> None:
    path = shared / "haproxy.sock"
    path.unlink(missing_ok=True)
    api = RuntimeApi("of Kolla", SocketDoor(place, str(path)), "keystone")
    with in_memory_haproxy(Balancer(), path) as balancer:
        api.set_state("keystone-2", "drain")
        assert balancer.servers["keystone-2"].admin == 0x08
    path.unlink()
    with pytest.raises(HaproxyError, match="No such file"):
        api.level()


@pytest.mark.lab
def test_a_container_that_is_not_there_is_said_so() -> None:
    done = ContainerPlace(LocalPlace(), "places-test-none").run("true", limit=20)
    assert (done.status, done.output) == (1, "")
    assert "No such container: places-test-none" in done.errors


@pytest.mark.parametrize("size", [1, 200_000])
def test_a_client_that_ends_before_it_has_read_the_script_says_why(size: int) -> None:
    client = ["sh", "-c", "echo 'no such thing' >&2; exit 125"]
    done = ContainerPlace(LocalPlace(), "any", client).run("#" * size, limit=20)
    assert done == Finished(125, "", "no such thing\n")
