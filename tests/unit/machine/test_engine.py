"""The hashes that decide what is built again, and how a build says why it failed."""

from pathlib import Path

from machine import engine
from machine.engine import digest, digest_directory


def test_a_hash_depends_on_where_one_part_ends() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab") == digest(b"ab")


def test_a_directorys_hash_depends_on_names_modes_and_contents(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM x\n")
    seen = [digest_directory(tmp_path)]
    file.chmod(0o755)
    seen.append(digest_directory(tmp_path))
    file.write_text("FROM y\n")
    seen.append(digest_directory(tmp_path))
    file.rename(tmp_path / "Other")
    seen.append(digest_directory(tmp_path))
    assert len(set(seen)) == 4


def test_a_build_that_says_why_it_failed_is_quoted_and_its_log_named() -> None:
    output = ["pip: 404", "error: keystone 27.9.9 could not be fetched", "bye"]
    text = engine.failure("builder", engine.OWN_ERROR, output, Path("packages.log"))
    assert text == "keystone 27.9.9 could not be fetched; log packages.log"


def test_a_build_that_fails_otherwise_shows_its_end() -> None:
    output = [*(f"line {number}" for number in range(40)), "error: subprocess exited with 1"]
    text = engine.failure("builder", 1, output, None)
    first, *tail = text.splitlines()
    assert first == "container of builder exited with 1 (allowed: 0)"
    assert tail == output[-25:]
