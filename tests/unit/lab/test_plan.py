"""`make plan` prints the text that the DAG wrote, and is red where the DAG was."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.hop import plan_hop
from lab.plan import new_run, show


def run(directory: Path | None) -> SimpleNamespace:
    return SimpleNamespace(directory=directory, log=Path("/logs/run.log"))


@pytest.mark.parametrize("code", [0, 1])
def test_the_text_is_printed_and_the_page_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    (tmp_path / "plan.txt").write_text("READY: KEYSTONE\n", encoding="utf-8")
    assert show(run(tmp_path), code) == code  # type: ignore[arg-type]
    assert capsys.readouterr().out == f"READY: KEYSTONE\n\npage: {tmp_path / 'plan.html'}\n"


def test_a_plan_without_a_text_is_red_and_names_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for directory in (None, tmp_path):
        assert show(run(directory), 0) == 1  # type: ignore[arg-type]
        assert capsys.readouterr().out == (
            "error: the plan wrote no page (exit code 0). Next: read /logs/run.log\n"
        )


def test_the_run_is_of_the_plan_and_of_the_pair_that_was_asked_for() -> None:
    found = new_run(plan_hop("pike", "queens"))
    assert found.dag == "keystone_plan"
    assert found.params == {"cloud": "lab", "source": "12.0.3", "target": "13.0.4"}
