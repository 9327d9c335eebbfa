"""No server is taken out if the task that returns it could not know."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.hooks.files.cloud_file import load_cloud
from operators.restore import outage
from operators.restore.outage import StopKeystoneOperator
from tests.stand_ins.systems import run_with


@pytest.mark.parametrize("written", [True, False])
def test_what_cannot_be_written_is_not_begun(
    written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[list[str]] = []
    report = SimpleNamespace(release="13.0.4")
    session: Any = SimpleNamespace(
        load=SimpleNamespace(loaded=lambda: "b.sql"),
        backup=lambda: Path("b.sql"),
        section=lambda: SimpleNamespace(swap_needed=True),
        begin=lambda: SimpleNamespace(began=1.0, replaced="old"),
        record=lambda **_: written,
        outage=SimpleNamespace(
            nodes=SimpleNamespace(reports=lambda: {"keystone-1": report}),
            stop=lambda names: stopped.append(names) or 0,
        ),
    )
    monkeypatch.setattr(outage, "RestoreSession", lambda run: session)
    monkeypatch.setattr(outage.StatisticsLink, "show_cloud", lambda *_: None)
    run = run_with(load_cloud("lab"), tmp_path)
    step = StopKeystoneOperator(task_id="stop_keystone")
    if written:
        assert step.run_step(run, {}) == ["keystone-1"]
        return
    with pytest.raises(AirflowFailException, match=r"^no server was taken out: .*Next: make that"):
        step.run_step(run, {})
    assert stopped == []
