"""The page of a run's load, made from files that the load has written so far."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from keystone_rollout.domain.load.samples import Sample
from keystone_rollout.domain.load.state import LoadState
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.load.page import live_page
from tests.stand_ins.set_clock import SetClock

RUN = "manual__2026-03-01T10:00:00+00:00"
BEGAN, NOW = 1_772_000_000, 1_772_000_120.5
RUNNING = LoadState("running", 20, NOW - 0.5)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path / "runs"))
    return RunDirectory(RUN)


def page() -> str:
    text = live_page(RUN, SetClock(NOW))
    assert text is not None
    return text


def seen(text: str) -> str:
    """Return what a reader sees of a page."""
    body = text[text.index("<body>") :]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def write_load(
    run: RunDirectory,
    session: int = 1,
    *,
    state: LoadState | None = RUNNING,
    failures: str = "",
    failed: int = 0,
) -> Path:
    """Write a load of 120 s and 60 requests a second; only the last of them is slow."""
    folder = run.load / str(session)
    folder.mkdir(parents=True)
    samples = [
        Sample(
            t=BEGAN + second, requests=60, failures=failed if second == 100 else 0, users=20,
            last_success=BEGAN + second + 0.9, longest_gap=0.1,
            ms={500.0: 60} if second == 119 else {20.0: 60},
            by_name={"get_user": (40, failed if second == 100 else 0), "issue_token": (20, 0)},
        )
        for second in range(120)
    ]  # fmt: skip
    lines = "".join(f"{sample.to_line()}\n" for sample in samples)
    (folder / "samples.jsonl").write_text(lines)
    (folder / "failures.jsonl").write_text(failures)
    if state:
        (folder / "state.json").write_text(state.to_text())
    return folder


def failure(error: str, name: str = "get_user") -> str:
    return (
        f'{{"t":{BEGAN + 100.5},"name":"{name}","method":"GET","status":503,"error":"{error}"}}\n'
    )


def test_a_load_in_progress_shows_its_numbers_and_asks_again(run: RunDirectory) -> None:
    write_load(run)
    text = page()
    assert '<meta http-equiv="refresh" content="5">' in text
    words = seen(text)
    assert "Running Session 1 is running, with 20 users." in words
    assert "20 Users clients at work 7,200 Requests 0 Failed requests" in words
    assert "60 requests Last second 06:15:19 UTC, 0 failed" in words
    assert "last 60 s 1 min 0 s 3,600 0 60.0/s 20 ms 500 ms 0.1 s" in words
    assert "session 1 2 min 0 s 7,200 0 60.0/s 20 ms 20 ms 0.1 s" in words
    assert "Actions Action Requests Failed get_user 4,800 0 issue_token 2,400 0" in words
    assert "Last failures" not in words
    assert 'class="verdict succeeded"' in text


def test_failures_are_shown_the_newest_first_and_at_most_ten(run: RunDirectory) -> None:
    lines = "".join(failure(f"wrong {number}") for number in range(12))
    write_load(run, failed=12, failures=lines + '{"t": half')
    text = page()
    words = seen(text)
    assert "12 Failed requests" in words
    assert "get_user 06:15:00 UTC 503 wrong 11 get_user" in words
    assert words.index("wrong 11") < words.index("wrong 2")
    assert "wrong 1 " not in words
    assert "half" not in words
    assert 'class="verdict failed"' in text
    assert '<tr class="bad"><th scope="row">get_user</th><td data-label="Requests"' in text


def test_a_failure_that_no_sample_has_yet_is_counted(run: RunDirectory) -> None:
    write_load(run, failures=failure("late").replace(str(BEGAN + 100.5), str(NOW)))
    assert "1 Failed requests" in seen(page())


def test_whatever_came_from_outside_is_escaped(run: RunDirectory) -> None:
    script = "<script>alert(1)</script>"
    folder = write_load(run, failures=failure(script, name=script) + f"{script}\n")
    samples = (folder / "samples.jsonl").read_text().replace("issue_token", script)
    (folder / "samples.jsonl").write_text(samples)
    (folder / "state.json").write_text(LoadState(script, 3, NOW).to_text())
    text = page()
    assert script not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
    broken = samples.replace('{"t":', f'{script}{{"t":', 1)
    (folder / "samples.jsonl").write_text(broken)
    assert script not in page()
    assert "line 1 is not a sample" in seen(page())


@pytest.mark.parametrize(
    ("state", "words", "asks_again"),
    [
        (LoadState("quit", 0, NOW - 300), "Ended Session 1 ended at 06:10:20 UTC.", False),
        (LoadState("stopped", 0, NOW), "Ended Session 1 ended at", False),
        (LoadState("stopping", 3, NOW), "Stopping Session 1 is stopping.", True),
        (LoadState("starting", 0, NOW), "Starting Session 1 is starting.", True),
        (LoadState("spawning", 7, NOW), "Spawning Session 1 is spawning, with 7 users.", True),
        (LoadState("running", 20, NOW - 6), "Silent Session 1 has not written its state for 6 s, "
         "its last one was running: it was killed, or it hangs.", True),
        (LoadState("running", 20, NOW - 4000), "Silent Session 1 has not written its state for "
         "1 h 6 min", False),
        (None, "Starting Session 1 has not written its state yet.", True),
    ],
)  # fmt: skip
def test_a_load_is_called_what_it_is(
    run: RunDirectory, state: LoadState | None, words: str, asks_again: bool
) -> None:
    write_load(run, state=state)
    text = page()
    assert words in seen(text)
    assert ("http-equiv" in text) is asks_again


def test_a_run_without_load_says_so_and_waits_for_one_unless_it_has_ended(
    run: RunDirectory,
) -> None:
    text = page()
    assert "No load This run has started no load yet." in seen(text)
    assert "http-equiv" in text
    run.write_text("report.html", "<p>the report</p>")
    text = page()
    assert "This run has started no load." in seen(text)
    assert "http-equiv" not in text
    assert '<a href="report.html">' in text


def test_a_load_that_has_written_nothing_yet_is_starting(run: RunDirectory) -> None:
    (run.load / "1").mkdir(parents=True)
    assert "unknown Users clients at work 0 Requests 0 Failed requests no sample" in seen(page())


def test_the_newest_session_is_shown_and_all_of_them_are_counted(run: RunDirectory) -> None:
    write_load(run, 9, failed=2, state=LoadState("quit", 0, NOW - 60))
    write_load(run, 10)
    words = seen(page())
    assert "Running Session 10 is running" in words
    assert "14,400 Requests in 2 sessions 2 Failed requests in 2 sessions" in words
    assert "session 10 2 min 0 s 7,200 0 " in words


def test_there_is_no_page_without_a_run(run: RunDirectory) -> None:
    assert live_page("other", SetClock(NOW)) is None
    assert not (run.path.parent / "other").exists()


def test_links_lead_nowhere(run: RunDirectory, tmp_path: Path) -> None:
    folder = write_load(run)
    outside = tmp_path / "outside"
    folder.rename(outside)
    (run.load / "1").symlink_to(outside)
    assert "0 Requests" in seen(page())
    (run.load / "1").unlink()
    (run.load / "1").mkdir()
    for file in outside.iterdir():
        (run.load / "1" / file.name).symlink_to(file)
    assert "0 Requests" in seen(page())
    run.load.rename(tmp_path / "load")
    run.load.symlink_to(tmp_path / "load")
    assert "No load" in seen(page())
