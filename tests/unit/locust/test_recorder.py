"""The recorder writes whole lines, one per second, and no secret."""

import json
import os
import subprocess
import sys
from pathlib import Path

from keystone_rollout.domain.load.samples import merge, parse_samples
from recorder import FailureWriter, Ledger, LineFile, SampleWriter, scrub


def read(path: Path) -> list[int]:
    return [one.requests for one in parse_samples(path.read_text())]


def test_each_second_has_a_line_also_without_requests(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "s", 100.2)
    writer.request("get_user", 12.0, ok=True, now=100.5)
    writer.tick(101.01, 20)
    writer.tick(103.02, 20)
    writer.request("get_user", 12.0, ok=True, now=103.5)
    writer.tick(104.0, 20)
    assert read(tmp_path / "s") == [1, 0, 0, 1]


def test_a_second_is_not_written_before_it_is_over(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "s", 100.0)
    writer.request("get_user", 12.0, ok=True, now=100.1)
    writer.tick(100.99, 20)
    assert read(tmp_path / "s") == []
    writer.tick(101.0, 20)
    assert read(tmp_path / "s") == [1]


def test_a_late_tick_puts_requests_into_their_own_seconds(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "s", 100.0)
    for now in (100.9, 101.1, 101.2, 103.3):
        writer.request("get_user", 12.0, ok=True, now=now)
    writer.tick(104.5, 20)
    samples = parse_samples((tmp_path / "s").read_text())
    assert [one.requests for one in samples] == [1, 2, 0, 1]
    assert [one.last_success for one in samples] == [100.9, 101.2, 101.2, 103.3]


def test_what_a_sample_holds(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "s", 100.0)
    writer.request("get_user", 12.34, ok=True, now=100.1)
    writer.request("get_user", 0.567, ok=True, now=100.4)
    writer.request("create_user", 1234.0, ok=False, now=100.9)
    writer.tick(101, 17)
    (one,) = parse_samples((tmp_path / "s").read_text())
    assert (one.requests, one.failures, one.users) == (3, 1, 17)
    assert one.ms == {12.0: 1, 0.57: 1, 1200.0: 1}
    assert one.by_name == {"get_user": (2, 0), "create_user": (1, 1)}
    assert (one.last_success, one.longest_gap) == (100.4, 0.3)


def test_failures_do_not_end_a_gap(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "s", 100.0)
    writer.request("get_user", 1, ok=True, now=100.5)
    writer.request("get_user", 1, ok=False, now=102.5)
    writer.request("get_user", 1, ok=True, now=104.5)
    writer.tick(105, 1)
    assert merge(parse_samples((tmp_path / "s").read_text())).longest_gap == 4.0


def test_closing_writes_the_second_in_progress(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "s", 100.0)
    writer.request("get_user", 1, ok=True, now=101.5)
    writer.close(101.6, 1)
    assert read(tmp_path / "s") == [0, 1]


def test_a_clock_set_back_loses_no_request(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "s", 100.0)
    writer.tick(105, 1)
    writer.request("get_user", 1, ok=False, now=101.0)
    writer.tick(106, 1)
    assert merge(parse_samples((tmp_path / "s").read_text())).failures == 1


def test_a_cut_off_line_is_dropped_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(b'{"a":1}\n{"b":')
    LineFile(path).write({"c": 3})
    assert path.read_text() == '{"a":1}\n{"c":3}\n'
    path.write_bytes(b'{"b":')
    LineFile(path).write({"c": 3})
    assert path.read_text() == '{"c":3}\n'


def test_lines_are_in_the_file_at_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.event(1.23456, "created", "u1", "load-1", 0)
    assert json.loads((tmp_path / "ledger").read_text()) == {
        "t": 1.235,
        "event": "created",
        "id": "u1",
        "name": "load-1",
        "generation": 0,
    }
    failures = FailureWriter(tmp_path / "failures")
    failures.failure(1.0, "get_user", "GET", 503, "answered 503, expected 200")
    assert json.loads((tmp_path / "failures").read_text())["status"] == 503


def test_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    LineFile(tmp_path / "s")
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600


def test_secrets_and_tokens_are_scrubbed() -> None:
    token = "gAAAAABh" + "x-_Y" * 20 + "=="
    text = f"Could not find token: {token}.\n password 'abcabc' and 'abc'"
    assert scrub(text, ("abc", "abcabc", "")) == (
        "Could not find token: [token]. password '[secret]' and '[secret]'"
    )


def test_long_errors_are_cut() -> None:
    assert len(scrub("x" * 5000)) == 300


def test_a_line_that_the_disk_cuts_off_is_not_glued_to_the_next(tmp_path: Path) -> None:
    limit = (
        "import resource, sys; from pathlib import Path; from recorder import LineFile\n"
        "lines = LineFile(Path(sys.argv[1])); lines.write({'n': 1})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (12, resource.RLIM_INFINITY))\n"
        "try: lines.write({'n': 22222})\n"
        "except OSError as error: print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
        "lines.write({'n': 3})\n"
    )
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", limit, str(tmp_path / "s")],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "is the disk full?" in done.stdout
    assert (tmp_path / "s").read_text() == '{"n":1}\n{"n":3}\n'
