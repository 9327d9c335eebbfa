"""What a node's account may do is what its steps do: run with a recording sudo, and compared."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from keystone_rollout.domain.node.kinds.presets import PRESETS
from keystone_rollout.domain.node.privileges import (
    check_command,
    covers,
    in_sudoers,
    privilege_problem,
    unlisted_commands,
)
from keystone_rollout.domain.node.steps import (
    NodeSteps,
    Step,
    configuration_files,
    render,
    render_privileges,
)
from keystone_rollout.hooks.files.cloud_file import load_cloud

FACTS = {
    "name": "cloud",
    "source": "12.0.3",
    "target": "13.0.4",
    "key_repository": "/etc/keystone/fernet-keys",
}
TWO_FILES = {"configuration_files": "keystone.conf policy.json"}
REPOSITORY = {"repository": "deb http://packages/{{ release }} ./"}
EVERYTHING = {
    "apt": NodeSteps(preset="apt", variables={**REPOSITORY, **TWO_FILES}),
    "dnf": NodeSteps(preset="dnf", variables=TWO_FILES),
    "yum": NodeSteps(preset="yum", variables=TWO_FILES),
    "lab": load_cloud("lab").node_steps,
    "production-example": load_cloud("production-example").node_steps,
}

# Records what it is asked to run, and which sudo of the step that was. Keys have up to 3 digits.
SUDO = """#!/bin/sh
shift
echo "$SITE $*" >> "$RECORD"
case "$1" in */ls) printf '0\\n12\\n345\\n' ;; esac
"""
# The release is not installed yet, and its packages are where they were to be fetched to.
PROGRAMS = {"sudo": SUDO, "rpm": "#!/bin/sh\nexit 1\n", "ls": "#!/bin/sh\n"}


def recorded(text: str, folder: Path) -> list[str]:
    """Run a step, and return every command it gives to sudo; fail if a sudo was not reached."""
    if "sudo" not in text:
        return []
    binaries, record = folder / "bin", folder / "record"
    binaries.mkdir()
    for name, body in PROGRAMS.items():
        (binaries / name).write_text(body)
        (binaries / name).chmod(0o755)
    record.touch()
    marked = (f"SITE={place} sudo -n" for place in range(100))
    text = re.sub(r"sudo -n", lambda _match: next(marked), text)
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=folder,
        env={"PATH": f"{binaries}:/usr/bin:/bin", "RECORD": str(record)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(" ", 1) for line in record.read_text().splitlines()]
    assert {int(site) for site, _command in lines} == set(range(text.count("sudo")))
    return [command for _site, command in lines]


def all_commands(steps: NodeSteps, folder: Path) -> set[str]:
    """Return what every step gives to sudo, on the way there and on the way back."""
    commands: set[str] = set()
    for release in (FACTS["source"], FACTS["target"]):
        for step in Step:
            place = folder / release / step.value
            place.mkdir(parents=True)
            if step is Step.CONFIGURE:
                (place / "keystone-rollout" / release).mkdir(parents=True)
                for name in configuration_files(steps, release, FACTS):
                    (place / "keystone-rollout" / release / name).touch()
            commands |= set(recorded(render(steps, step, release, FACTS), place))
    return commands


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_command_is_covered_and_every_privilege_is_used(name: str, tmp_path: Path) -> None:
    steps = EVERYTHING[name]
    commands, privileges = all_commands(steps, tmp_path), render_privileges(steps, FACTS)
    assert commands
    assert [each for each in commands if not any(covers(one, each) for one in privileges)] == []
    assert [one for one in privileges if not any(covers(one, each) for each in commands)] == []
    digits = [one for one in privileges if "[0-9]" in one]
    assert len(privileges) - len(digits) + 3 == len(commands)
    assert len(digits) == 3


@pytest.mark.parametrize("name", EVERYTHING)
def test_only_rpm_gets_to_see_a_star(name: str) -> None:
    stars = [one for one in render_privileges(EVERYTHING[name], FACTS) if "*" in one]
    expected = [
        rf"/usr/bin/rpm -U --oldpackage --replacepkgs /var/cache/keystone-rollout/{release}/\*.rpm"
        for release in ("12.0.3", "13.0.4")
    ]
    assert stars == ([] if EVERYTHING[name].preset == "apt" else expected)


def test_a_step_that_nobody_listed_would_be_seen(tmp_path: Path) -> None:
    override = {Step.STOP: 'sudo -n /usr/bin/systemctl "stop" evil'}
    steps = NodeSteps(preset="dnf", override=override)
    commands, privileges = all_commands(steps, tmp_path), render_privileges(steps, FACTS)
    assert [each for each in commands if not any(covers(one, each) for one in privileges)] == [
        "/usr/bin/systemctl stop evil"
    ]
    assert [one for one in privileges if not any(covers(one, each) for each in commands)] == [
        "/usr/bin/systemctl stop httpd"
    ]


def test_privileges_are_rendered_for_both_releases_and_each_file() -> None:
    privileges = render_privileges(EVERYTHING["apt"], FACTS)
    assert len(privileges) == len(set(privileges))
    for release in ("12.0.3", "13.0.4"):
        assert sum(f"keystone={release}-1" in one for one in privileges) == 2
        assert sum(f"keystone_{release}-1_amd64.deb" in one for one in privileges) == 1
    assert [one for one in privileges if one.startswith("/bin/cat")] == [
        "/bin/cat /etc/keystone/keystone.conf",
        "/bin/cat /etc/keystone/policy.json",
    ]


def test_a_node_without_files_of_its_own_needs_no_privilege_for_them() -> None:
    steps = NodeSteps(preset="dnf", variables={"configuration_files": ""})
    programs = {one.split()[0] for one in render_privileges(steps, FACTS)}
    assert not programs & {"/bin/cat", "/usr/bin/install"}
    assert "/usr/bin/rpm" in programs


def test_own_privileges_are_added_to_the_presets() -> None:
    steps = NodeSteps(preset="dnf", privileges=["/usr/sbin/check  {{ release }} {{ file }} "])
    assert [one for one in render_privileges(steps, FACTS) if "check" in one] == [
        "/usr/sbin/check 12.0.3 keystone.conf",
        "/usr/sbin/check 13.0.4 keystone.conf",
    ]
    assert set(render_privileges(NodeSteps(preset="dnf"), FACTS)) < set(
        render_privileges(steps, FACTS)
    )


@pytest.mark.parametrize(
    ("privilege", "refused"),
    [
        ("/usr/bin/apt-get install *", "'*'"),
        ("/bin/cat /etc/keystone/keystone.con?", "'?'"),
        ("/bin/cat /etc/[a-z]", "'['"),
        ("/bin/cat 'a b'", '"\'"'),
        ("/bin/cat /etc/a\nALL", "'\\n'"),
        ("/bin/cat a\\ b", "'\\\\'"),
        ("/bin/cat a#b", "'#'"),
        ("/bin/cat !a", "'!'"),
        ("/bin/cat $HOME", "'$'"),
        ("/bin/cat ^a", "'^'"),
    ],
)
def test_what_sudoers_would_not_take_literally_is_refused(privilege: str, refused: str) -> None:
    problem = privilege_problem(privilege)
    assert problem is not None
    assert f"; {refused} is not allowed, because sudoers would not take it for itself" in problem
    assert problem.endswith("Next: write out each command, without quotes")
    with pytest.raises(ValueError, match="is not allowed"):
        in_sudoers(privilege)


@pytest.mark.parametrize("privilege", ["systemctl stop httpd", "", "ALL", "/usr/bin/", "../x"])
def test_a_privilege_begins_with_a_program(privilege: str) -> None:
    assert privilege_problem(privilege) == (
        f"read {privilege!r}; allowed is a command that begins with the absolute path of its "
        "program, such as /usr/sbin/service keystone stop"
    )


@pytest.mark.parametrize(
    ("privilege", "written"),
    [
        ("/bin/a -o A::b=c,d", r"/bin/a -o A\:\:b\=c\,d"),
        ("/bin/a /k/[0-9][0-9]", "/bin/a /k/[0-9][0-9]"),
        (r"/bin/a /k/\*.rpm", r"/bin/a /k/\*.rpm"),
        (r"/bin/a b\\c", r"/bin/a b\\\\c"),
        ("/bin/a ~/x@y%3a_+{}", "/bin/a ~/x@y%3a_+{}"),
        ("/bin/a", '/bin/a ""'),
    ],
)
def test_sudoers_gets_its_escapes(privilege: str, written: str) -> None:
    assert in_sudoers(privilege) == written


@pytest.mark.parametrize(
    ("privilege", "command", "covered"),
    [
        ("/bin/a b.c", "/bin/a b.c", True),
        ("/bin/a b.c", "/bin/a bxc", False),
        ("/bin/a b", "/bin/a b c", False),
        ("/bin/a /k/[0-9]", "/bin/a /k/7", True),
        ("/bin/a /k/[0-9]", "/bin/a /k/77", False),
        ("/bin/a /k/[0-9]", "/bin/a /k/x", False),
        (r"/bin/a \*", "/bin/a *", True),
        (r"/bin/a \*", "/bin/a b", False),
        (r"/bin/a \\", "/bin/a \\", True),
    ],
)
def test_a_privilege_covers_what_it_says(privilege: str, command: str, covered: bool) -> None:
    assert covers(privilege, command) is covered


@pytest.mark.parametrize(
    ("step", "commands"),
    [
        ("sudo -n httpd -t", ["httpd -t"]),
        ("sudo -n /usr/sbin/httpd  -t && echo ok", ["/usr/sbin/httpd -t"]),
        ("echo x | sudo -n tee /etc/x >/dev/null; sudo -n a", ["tee /etc/x", "a"]),
        ("sudo -n a b 2>/dev/null", ["a b"]),
        ("sudo -n a b2>/dev/null; sudo -n c 2 >/dev/null", ["a b2", "c 2"]),
        ("x=$(sudo -n a b)\nsudo -n c \\\n  d", ["a b", "c d"]),
        ("sudo -n a $file", []),
        ("sudo -n a 'b c'", []),
        ("sudo -n -u postgres psql", []),
        ("pseudo -n a", []),
        ("sudo -n systemctl stop httpd", []),
    ],
)
def test_only_what_is_certain_is_called_unlisted(step: str, commands: list[str]) -> None:
    assert unlisted_commands(step, ["/usr/bin/systemctl stop httpd"]) == commands


def test_lacking_privileges_are_printed_one_by_one(tmp_path: Path) -> None:
    privileges = [
        "/usr/bin/dpkg --configure -a",
        "/usr/bin/sha256sum /k/[0-9][0-9]",
        r"/usr/bin/rpm -U /x/\*.rpm",
        "/usr/sbin/service keystone stop",
    ]
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\necho "$*" >> "$RECORD"\ncase "$*" in *dpkg*|*rpm*) exit 1 ;; esac')
    sudo.chmod(0o755)
    text = check_command(privileges)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RECORD": str(tmp_path / "record")}
    for shell in ("bash", "sh"):
        done = subprocess.run(
            [shell, "-c", text], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [privileges[0], "/usr/bin/rpm -U /x/*.rpm"]
    asked = (tmp_path / "record").read_text().splitlines()[:4]
    assert asked == [
        "-n -l /usr/bin/dpkg --configure -a",
        "-n -l /usr/bin/sha256sum /k/00",
        "-n -l /usr/bin/rpm -U /x/*.rpm",
        "-n -l /usr/sbin/service keystone stop",
    ]


def test_without_sudo_every_privilege_is_lacking(tmp_path: Path) -> None:
    privileges = render_privileges(EVERYTHING["lab"], FACTS)
    done = subprocess.run(
        ["/bin/bash", "-c", check_command(privileges)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    lacking = done.stdout.splitlines()
    assert len(lacking) == len(privileges)
    assert all(covers(one, line) for one, line in zip(privileges, lacking, strict=True))


def test_every_preset_states_privileges() -> None:
    assert all(preset.privileges for preset in PRESETS.values())
