"""The sudoers file says what was meant: read back by its own rules, and judged by visudo."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keystone_rollout.cli.sudoers import main, node_sudoers
from keystone_rollout.domain.node.privileges import sudoers_text
from keystone_rollout.domain.node.steps import render_privileges
from keystone_rollout.hooks.files.cloud_file import load_cloud

ROOT = Path(__file__).resolve().parents[4]
CLOUDS = ["lab", "production-example"]
HARD = ["/bin/a -o A::b=c,d", "/bin/a /k/[0-9][0-9]", r"/bin/a /k/\*.rpm", r"/bin/a b\\c", "/bin/b"]


def commands_in(text: str) -> list[str]:
    """Read the commands back as sudoers defines them: an unescaped comma, : = or # ends one."""
    joined = text.replace("\\\n", "")
    (alias,) = re.findall(r"^Cmnd_Alias KEYSTONE_ROLLOUT = (.*)$", joined, re.MULTILINE)
    commands = re.findall(r"((?:\\.|[^\\,:=#\n])+)(?:,|$)", alias)
    assert ",".join(commands) == alias, "something ends a command before its comma"
    return [
        re.sub(r"\\([,:=\\])", r"\1", command.strip()).removesuffix(' ""') for command in commands
    ]


def visudo_accepts(text: str, folder: Path) -> None:
    """Let visudo judge the file where it is installed; `commands_in` has judged it anyway."""
    visudo = shutil.which("visudo", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if visudo is None:
        return
    path = folder / "sudoers"
    path.write_text(text)
    path.chmod(0o440)
    done = subprocess.run([visudo, "-cf", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", CLOUDS)
def test_the_file_allows_the_privileges_of_the_cloud_and_nothing_else(
    name: str, tmp_path: Path
) -> None:
    cloud = load_cloud(name)
    text = node_sudoers(name, "svc-keystone")
    assert commands_in(text) == render_privileges(cloud.node_steps, cloud.node_facts)
    visudo_accepts(text, tmp_path)
    rules = [line for line in text.replace("\\\n", "").splitlines() if not line.startswith("#")]
    assert [rule.split()[0] for rule in rules] == [
        "Cmnd_Alias",
        "Defaults!KEYSTONE_ROLLOUT",
        "svc-keystone",
    ]
    seconds = cloud.limits.node.command_seconds
    assert rules[-1] == (
        f"svc-keystone ALL=(root) TIMEOUT={seconds:.0f} NOPASSWD: NOSETENV: KEYSTONE_ROLLOUT"
    )


def test_what_has_to_be_escaped_comes_back_as_it_was(tmp_path: Path) -> None:
    text = sudoers_text("rollout", HARD, 0.5, "title")
    read = commands_in(text)
    assert read == [*HARD[:3], r"/bin/a b\\c", "/bin/b"]
    assert '    /bin/b ""\n' in text
    assert "TIMEOUT=1 " in text
    visudo_accepts(text, tmp_path)


def test_a_wildcard_for_anything_cannot_be_written() -> None:
    with pytest.raises(ValueError, match=r"'\*' is not allowed"):
        sudoers_text("rollout", ["/bin/cat /etc/keystone/*"], 1, "title")


@pytest.mark.parametrize("account", ["", "ALL", "Rollout", "%wheel", "#0", "a b", "a\nb", "a,b"])
def test_an_account_that_sudoers_would_misread_is_refused(account: str) -> None:
    with pytest.raises(ValueError, match="cannot be written into sudoers") as caught:
        sudoers_text(account, ["/bin/a"], 1, "title")
    assert str(caught.value).startswith(f"account {account!r} ")


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(ValueError, match="sudoers knows no empty list"):
        sudoers_text("rollout", [], 1, "title")


def test_other_releases_need_other_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "--source", "18.1.0", "--target", "19.0.1"]) == 0
    text = capsys.readouterr().out
    assert "keystone_19.0.1-1_amd64.deb" in text
    assert "13.0.4" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "error: cloud 'nowhere': nowhere.yaml cannot be read (No such file or "),
        (["lab", "--target", "18.1.0"], "error: lab.yaml has 1 finding(s), nothing was touched:\n"),
        (["lab", "--account", "ALL"], "error: account 'ALL' cannot be written into sudoers; "),
    ],
)
def test_an_error_is_said_without_a_traceback(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(message)


@pytest.mark.parametrize(
    ("arguments", "status", "output"),
    [
        (["CLOUD=lab", "ACCOUNT=deploy"], 0, "\ndeploy ALL=(root) "),
        (["CLOUD=nowhere"], 2, "Allowed: lab, production-example"),
        ([], 2, "Allowed: lab, production-example"),
    ],
)
def test_make_prints_the_file(
    arguments: list[str], status: int, output: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        ["make", "sudoers", f"python={sys.executable}", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert output in (done.stderr if status else done.stdout)
