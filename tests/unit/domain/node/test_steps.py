"""Every step of both cloud files is a valid command, on the way there and on the way back."""

from __future__ import annotations

import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from pydantic import ValidationError

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.kinds.presets import PRESETS
from keystone_rollout.domain.node.steps import NodeSteps, Step, configuration_files, render
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.views.cloud_reference import RELEASE_WORDS
from tests.stand_ins.release_texts import DIGEST, GOOD

CLOUDS = ["lab", "production-example"]
FACTS = {
    "name": "cloud",
    "source": "12.0.3",
    "target": "13.0.4",
    "key_repository": "/etc/keystone/fernet-keys",
}
APT = NodeSteps(preset="apt", variables={"repository": "deb http://packages/{{ release }} ./"})
DNF = NodeSteps(preset="dnf")


@cache
def cloud_file(name: str) -> Cloud:
    """Return a cloud as its file describes it, which is read once."""
    return load_cloud(name)


def command(cloud_name: str, step: Step, side: str) -> str:
    cloud = cloud_file(cloud_name)
    return render(cloud.node_steps, step, getattr(cloud, side), cloud.node_facts)


def run(
    text: str, folder: Path, shell: str = "sh", **programs: str
) -> subprocess.CompletedProcess[str]:
    """Run a step with stand-ins for the programs of a node that this machine does not have."""
    sudo = 'shift; program=$1; shift; exec "${program##*/}" "$@"'
    for name, body in {"sudo": sudo, **programs}.items():
        program = folder / "bin" / name.replace("_", "-")
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    path = f"{folder / 'bin'}:/usr/bin:/bin"
    return subprocess.run(
        [shell, "-c", text],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize("cloud_name", CLOUDS)
def test_every_step_is_valid_shell_without_template_marks(
    cloud_name: str, step: Step, side: str, shell: str
) -> None:
    text = command(cloud_name, step, side)
    checked = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert text
    assert not [mark for mark in ("{{", "}}", "{%", "%}", "None") if mark in text]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_has_every_step(preset: str) -> None:
    assert set(PRESETS[preset].steps) == {step.value for step in Step}


def test_going_back_is_the_same_command_with_the_old_release() -> None:
    there = command("lab", Step.INSTALL, "target")
    assert "keystone_13.0.4-1_amd64.deb" in there
    assert command("lab", Step.INSTALL, "source") == there.replace("13.0.4", "12.0.3")


def test_install_needs_no_network() -> None:
    assert "--no-download" in command("lab", Step.INSTALL, "source")
    assert command("production-example", Step.INSTALL, "source") == (
        r"sudo -n /usr/bin/rpm -U --oldpackage --replacepkgs "
        r"/var/cache/keystone-rollout/12.0.3/\*.rpm"
    )


def test_an_install_waits_for_a_process_that_has_the_packages_locked(tmp_path: Path) -> None:
    dpkg = "echo dpkg >>asked; test $(wc -l <asked) -gt 2 || exit 2"
    done = run(
        command("lab", Step.INSTALL, "target"), tmp_path, dpkg=dpkg, apt_get="echo apt >>asked",
        sleep="true",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text().split() == ["dpkg", "dpkg", "dpkg", "apt"]


@pytest.mark.parametrize(("status", "tries"), [(1, 1), (2, 121)])
def test_an_install_ends_with_dpkg_if_that_fails_or_stays_locked(
    tmp_path: Path, status: int, tries: int
) -> None:
    dpkg = f"echo dpkg >>asked; echo why >&2; exit {status}"
    done = run(
        command("lab", Step.INSTALL, "target"), tmp_path, dpkg=dpkg, apt_get="echo apt >>asked",
        sleep="true",
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (status, "why")
    assert (tmp_path / "asked").read_text().split() == ["dpkg"] * tries


def test_the_package_file_is_named_as_apt_names_it() -> None:
    variables = {
        **APT.variables,
        "package_version": "2:{{ release }}-0ubuntu1~cloud0",
        "architecture": "all",
    }
    text = render(NodeSteps(preset="apt", variables=variables), Step.INSTALL, "13.0.4", FACTS)
    assert text.endswith(" /var/cache/apt/archives/keystone_2%3a13.0.4-0ubuntu1~cloud0_all.deb")


def test_only_keystone_is_fetched() -> None:
    assert "--only-upgrade --download-only keystone=13.0.4-1" in command(
        "lab", Step.STAGE, "target"
    )
    assert (
        "sudo -n /usr/bin/yum -q -y upgrade --downloadonly "
        "--downloaddir=/var/cache/keystone-rollout/13.0.4 "
        "openstack-keystone-13.0.4 python-keystone-13.0.4\n"
    ) in command("production-example", Step.STAGE, "target")


def test_yum_and_dnf_spell_their_repositories_differently() -> None:
    assert command("production-example", Step.ENABLE_REPOSITORY, "target").splitlines() == [
        "set -e",
        "sudo -n /usr/bin/yum-config-manager --disable centos-openstack-pike >/dev/null",
        "sudo -n /usr/bin/yum-config-manager --disable centos-openstack-queens >/dev/null",
        "sudo -n /usr/bin/yum-config-manager --enable centos-openstack-queens >/dev/null",
    ]
    assert "sudo -n /usr/bin/dnf config-manager --enable centos-openstack-queens" in render(
        DNF, Step.ENABLE_REPOSITORY, "13.0.4", FACTS
    )


@pytest.mark.parametrize(
    ("source", "target", "old", "new"),
    [
        ("12.0.3", "13.0.4", "pike", "queens"),
        ("22.0.2", "23.0.2", "zed", "antelope"),
        ("1:26.1.1-1.el9", "27.0.1.dev7", "dalmatian", "epoxy"),
        ("28.0.1", "29.1.0", "flamingo", "gazpacho"),
    ],
)
def test_repositories_are_called_what_distributions_call_the_release(
    source: str, target: str, old: str, new: str
) -> None:
    facts = {**FACTS, "source": source, "target": target}
    assert render(DNF, Step.ENABLE_REPOSITORY, target, facts).splitlines() == [
        "set -e",
        f"sudo -n /usr/bin/dnf config-manager --disable centos-openstack-{old} >/dev/null",
        f"sudo -n /usr/bin/dnf config-manager --disable centos-openstack-{new} >/dev/null",
        f"sudo -n /usr/bin/dnf config-manager --enable centos-openstack-{new} >/dev/null",
    ]


def test_a_release_without_a_known_name_is_an_error_only_for_who_asks_for_it() -> None:
    facts = {**FACTS, "source": "29.1.0", "target": "30.0.0"}
    assert "{{" not in render(APT, Step.STAGE, "30.0.0", facts)
    with pytest.raises(UndefinedError) as caught:
        render(DNF, Step.STAGE, "29.1.0", facts)
    assert str(caught.value).startswith(
        "target_release_name: 30.0.0 (2026.2) has no name that is known here, only a number. Next: "
    )


WORDS = " ".join(f"{{{{ {name} }}}}" for name, _, _ in RELEASE_WORDS)


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ("13.0.4", "13.0.4 13 13.0.4  queens queens"),
        ("27.0.1.dev7", "27.0.1.dev7 27 27.0.1.dev7  2025.1 epoxy"),
        (RELEASE_WORDS[0][1], " ".join(example for _, example, _ in RELEASE_WORDS)),
        (f"27.0.1@{DIGEST}", f"27.0.1@{DIGEST} 27 27.0.1  2025.1 epoxy"),
    ],
)
def test_a_step_may_name_the_parts_of_the_release(release: str, words: str) -> None:
    steps = NodeSteps(preset="dnf", override={Step.START: f"echo {WORDS}"})
    assert render(steps, Step.START, release, FACTS) == f"echo {words}"


@pytest.mark.parametrize("release", GOOD)
def test_a_release_is_one_word_for_a_shell(release: str, tmp_path: Path) -> None:
    steps = NodeSteps(preset="dnf", override={Step.START: "printf '<%s>' {{ release }}"})
    text = render(steps, Step.START, release, {**FACTS, "target": release})
    assert run(text, tmp_path).stdout == f"<{release}>"


def test_a_package_with_a_revision_is_installed_as_it_is_called() -> None:
    release = "2:29.0.0-0ubuntu1.2"
    facts = {**FACTS, "source": "2:28.0.0-0ubuntu1", "target": release}
    assert render(APT, Step.STAGE, release, facts).endswith(f"keystone={release}")
    assert render(APT, Step.CHECK_KEPT, release, facts).endswith(
        'echo "/var/cache/apt/archives/keystone_2%3a29.0.0-0ubuntu1.2_amd64.deb"'
    )


def test_staging_fails_where_the_repository_lacks_the_release(tmp_path: Path) -> None:
    text = render(DNF, Step.STAGE, "13.0.4", FACTS).replace("/var/cache", str(tmp_path))
    missing = run(text, tmp_path, rpm="exit 1", dnf="echo nothing to do; exit 0")
    assert missing.returncode != 0
    assert "openstack-keystone-13.0.4-*.rpm" in missing.stderr
    folder = tmp_path / "keystone-rollout" / "13.0.4"
    folder.mkdir(parents=True)
    for name in ("openstack-keystone", "python3-keystone"):
        (folder / f"{name}-13.0.4-1.el8.noarch.rpm").touch()
    assert run(text, tmp_path, rpm="exit 1", dnf="exit 0").returncode == 0


def test_present_packages_and_configuration_are_kept_once(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "keystone.conf").write_text("old\n")
    fetched = tmp_path / "keystone-rollout-cache"
    dnf = (
        f'echo "$@" >> {tmp_path}/calls; mkdir -p {fetched}/12.0.3; '
        f"for each in openstack-keystone python3-keystone; do "
        f"touch {fetched}/12.0.3/$each-12.0.3-1.noarch.rpm; done"
    )
    text = (
        render(DNF, Step.KEEP_CURRENT, "12.0.3", FACTS)
        .replace("/var/cache/keystone-rollout", str(fetched))
        .replace("/etc/keystone", str(etc))
    )
    for _attempt in range(2):
        done = run(text, tmp_path, dnf=dnf)
        assert (done.returncode, done.stderr) == (0, "")
        (etc / "keystone.conf").write_text("new\n")
    kept = tmp_path / "keystone-rollout" / "12.0.3" / "keystone.conf"
    assert kept.read_text() == "old\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    # The SSH user looks whether root has fetched it: that has to be readable.
    assert fetched.stat().st_mode & 0o777 == 0o755
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 1
    assert calls[0].endswith("openstack-keystone-12.0.3 python3-keystone-12.0.3")


def test_keys_are_compared_by_content_and_name(tmp_path: Path) -> None:
    repository = tmp_path / "keys"
    repository.mkdir()
    (repository / "0").write_text("a")
    (repository / "1").write_text("b")
    facts = {**FACTS, "key_repository": str(repository)}
    text = render(APT, Step.KEY_FINGERPRINT, "12.0.3", facts)
    first = run(text, tmp_path).stdout
    assert len(first.strip()) == 64
    assert run(text, tmp_path).stdout == first
    (repository / "1").write_text("c")
    assert run(text, tmp_path).stdout != first


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_keys_that_cannot_be_read_have_no_fingerprint(tmp_path: Path, shell: str) -> None:
    repository = tmp_path / "keys"
    facts = {**FACTS, "key_repository": str(repository)}
    text = render(APT, Step.KEY_FINGERPRINT, "12.0.3", facts)
    absent = run(text, tmp_path, shell)
    assert (absent.returncode != 0, absent.stdout) == (True, "")
    repository.mkdir()
    empty = run(text, tmp_path, shell)
    assert (empty.returncode, empty.stdout) == (1, "")
    assert empty.stderr == f"no key in {repository}\n"
    for key in ("0", "1"):
        (repository / key).write_text(key)
    one_refused = 'case "$1" in */0) exit 1 ;; esac; exec /usr/bin/sha256sum "$@"'
    refused = run(text, tmp_path, shell, sha256sum=one_refused)
    assert (refused.returncode, refused.stdout) == (1, "")


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_of_a_cache_only_servers_and_expiration_are_told(tmp_path: Path, shell: str) -> None:
    conf = "[DEFAULT]\nexpiration_time = 1\n[cache]\nmemcache_password = s3cret\n" + (
        "memcache_servers = a:11211,b:11211\n#expiration_time = 9\nexpiration_time=300\n[x]\n"
    )
    (tmp_path / "keystone.conf").write_text(conf)
    text = render(APT, Step.REPORT_CACHE, "12.0.3", FACTS)
    read = f'test "$1" = /etc/keystone/keystone.conf && exec /bin/cat {tmp_path}/keystone.conf'
    told = run(text, tmp_path, shell, cat=read)
    assert told.stdout == "[cache]\nmemcache_servers = a:11211,b:11211\nexpiration_time=300\n"
    refused = run(text, tmp_path, shell, cat="exit 1")
    assert (refused.returncode, refused.stdout) == (1, "")


@pytest.mark.parametrize("steps", [APT, DNF], ids=["apt", "dnf"])
def test_what_going_back_lacks_is_printed_line_by_line(tmp_path: Path, steps: NodeSteps) -> None:
    text = render(steps, Step.CHECK_KEPT, "12.0.3", FACTS).replace("/var/cache", str(tmp_path))
    staging = tmp_path / "keystone-rollout" / "12.0.3"
    staging.mkdir(parents=True)
    lines = run(text, tmp_path).stdout.splitlines()
    assert lines[0] == "keystone-rollout/12.0.3/keystone.conf"
    assert [line for line in lines[1:] if "keystone" in line] == lines[1:]
    assert len(lines) == (2 if steps is APT else 3)
    (staging / "keystone.conf").write_text("old\n")
    archives = tmp_path / "apt" / "archives"
    archives.mkdir(parents=True)
    (archives / "keystone_12.0.3-1_amd64.deb").write_text("deb")
    for name in ("openstack-keystone", "python3-keystone"):
        (staging / f"{name}-12.0.3-1.noarch.rpm").touch()
    done = run(text, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@contextmanager
def memcached(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answer every connection's first line, on a free port of 127.0.0.1."""
    asked: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline())
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def flush(servers: str, folder: Path, shell: str) -> subprocess.CompletedProcess[str]:
    steps = NodeSteps(preset="dnf", variables={"memcached": servers})
    return run(render(steps, Step.FLUSH_CACHE, "12.0.3", FACTS), folder, shell)


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_every_cache_is_emptied_or_the_step_fails(tmp_path: Path, shell: str) -> None:
    with memcached(b"OK\r\n") as (good, asked), memcached(b"ERROR\r\n") as (bad, _):
        done = flush(f"{good} {good}", tmp_path, shell)
        assert (done.returncode, done.stderr) == (0, "")
        assert asked == [b"flush_all\r\n"] * 2
        refused = flush(f"{good} {bad}", tmp_path, shell)
        assert refused.returncode == 1
        assert refused.stderr == f"memcached {bad} did not acknowledge flush_all\n"
    assert flush(good, tmp_path, shell).returncode == 1
    assert flush("", tmp_path, shell).returncode == 0


def test_configuration_goes_in_through_standard_input(tmp_path: Path) -> None:
    variables = {**APT.variables, "configuration_files": "keystone.conf policy.json"}
    steps = NodeSteps(preset="apt", variables=variables)
    assert configuration_files(steps, "13.0.4", FACTS) == ["keystone.conf", "policy.json"]
    folder, etc = tmp_path / "keystone-rollout" / "13.0.4", tmp_path / "etc"
    folder.mkdir(parents=True)
    etc.mkdir()
    (folder / "keystone.conf").write_text("new\n")
    text = render(steps, Step.CONFIGURE, "13.0.4", FACTS).replace("/etc/keystone", str(etc))
    install = 'shift 6; exec /usr/bin/install -m 0640 "$@"'  # the group keystone is not here
    half = run(text, tmp_path, install=install)
    assert half.returncode != 0
    assert "policy.json" in half.stderr
    (folder / "policy.json").write_text("{}\n")
    done = run(text, tmp_path, install=install)
    assert (done.returncode, done.stderr) == (0, "")
    assert (etc / "keystone.conf").read_text() == "new\n"
    assert (etc / "policy.json").stat().st_mode & 0o777 == 0o640


def test_an_override_replaces_one_step() -> None:
    steps = NodeSteps(preset="dnf", override={Step.STOP: "echo {{ release }} {{ service }}"})
    assert render(steps, Step.STOP, "13.0.4", FACTS) == "echo 13.0.4 httpd"
    start = "sudo -n /usr/bin/systemctl start httpd"
    assert render(steps, Step.START, "13.0.4", FACTS) == start


def findings(**fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        NodeSteps.model_validate(fields)
    return "; ".join(error["msg"] for error in caught.value.errors())


def test_a_missing_variable_is_named_once() -> None:
    assert findings(preset="apt") == "Value error, preset apt needs variable 'repository'"


def test_unknown_variables_and_names_in_templates_are_found_before_any_node_is() -> None:
    text = findings(preset="dnf", variables={"tol": "yum"}, override={"stop": "stop {{ servise }}"})
    assert text.startswith(
        "Value error, variable 'tol' is not one of preset dnf; allowed are config_manager, "
    )
    assert text.endswith("; stop: 'servise' is undefined")


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    assert findings(preset="zypper") == "Input should be 'apt', 'dnf' or 'yum'"


def test_a_step_of_ones_own_needs_its_privileges() -> None:
    override = {"start": "sudo -n httpd -t && sudo -n systemctl start {{ service }} 2>/dev/null"}
    assert findings(preset="dnf", override=override) == (
        "Value error, start: runs `sudo -n httpd -t`, which is in no privilege; add it to "
        "node_steps.privileges, with its program's absolute path"
    )
    NodeSteps(preset="dnf", override=override, privileges=["/usr/sbin/httpd -t"])


def test_what_is_no_privilege_is_refused_with_the_file() -> None:
    text = findings(preset="dnf", privileges=["/usr/bin/systemctl * httpd"])
    assert text.startswith(
        "Value error, privileges: read '/usr/bin/systemctl * httpd'; '*' is not allowed"
    )
    text = findings(preset="dnf", variables={"repositories": "centos-openstack-*"})
    assert "read '/usr/bin/dnf config-manager --disable centos-openstack-*'" in text
    text = findings(preset="dnf", privileges=["/bin/cat /etc/{{ fil }}"])
    assert text == "Value error, privileges: 'fil' is undefined"
