"""The upgrade that the lab is set up for: planned, refused, and read again."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from lab import cli, hop, paths
from lab.releases import distribution
from machine.errors import CommandError


@pytest.fixture(autouse=True)
def no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(distribution.VARIABLE, raising=False)


def archive(folder: Path, version: str) -> None:
    """Put a source archive of an early release into *folder*."""
    with tarfile.open(folder / f"keystone-{version}.tar.gz", "w:gz") as tar:
        for name in ("etc/keystone-paste.ini", "etc/policy.json"):
            tar.addfile(tarfile.TarInfo(f"keystone-{version}/{name}"), io.BytesIO())


def test_releases_that_pypi_lacks_are_refused_with_the_files_wanted() -> None:
    with pytest.raises(CommandError) as caught:
        hop.plan_hop("newton", "ocata")
    assert str(caught.value) == (
        "10.0.3 (Newton) and 11.0.4 (Ocata): not on PyPI. Nothing was changed. Next: put "
        "keystone-10.0.3.tar.gz or keystone-10.0.3-*.whl and keystone-11.0.4.tar.gz or "
        "keystone-11.0.4-*.whl into a folder, and set KEYSTONE_DIST to it"
    )
    with pytest.raises(CommandError, match=r"^11\.0\.4 \(Ocata\): not on PyPI"):
        hop.plan_hop("ocata", "pike")


def test_with_their_archives_nothing_else_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(tmp_path, "10.0.3")
    archive(tmp_path, "11.0.4")
    monkeypatch.setenv(distribution.VARIABLE, str(tmp_path))
    planned = hop.plan_hop("newton", "ocata")
    assert [build.key for build in planned.builds] == [
        "10.0.3-python2.7-private", "11.0.4-python2.7-private",
    ]  # fmt: skip
    assert planned.own_cache, "Newton cannot read what Ocata caches"
    assert planned.memcached(planned.source) == "memcached"
    assert planned.memcached(planned.target) == "memcached-target"


def test_a_memcached_of_ones_own_where_it_is_needed_or_asked_for() -> None:
    assert not hop.plan_hop("pike", "queens").own_cache
    asked = hop.plan_hop("pike", "queens", own_cache=True)
    assert (asked.memcached(asked.source), asked.memcached(asked.target)) == (
        "memcached", "memcached-target",
    )  # fmt: skip


def test_the_target_gets_the_options_of_the_hop_and_the_source_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(tmp_path, "11.0.4")
    monkeypatch.setenv(distribution.VARIABLE, str(tmp_path))
    planned = hop.plan_hop("ocata", "pike")
    assert planned.options(planned.source) == []
    assert [str(option) for option in planned.options(planned.target)] == [
        "[identity] rolling_upgrade_password_hash_compat = true"
    ]


def test_a_release_without_exact_dependencies_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "PINS", paths.ROOT / "nowhere")
    with pytest.raises(CommandError, match=r"there is no nowhere/12\.0\.3\.txt with the exact"):
        hop.plan_hop("pike", "queens")


def test_what_was_written_down_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "LAB", tmp_path / "lab.json")
    with pytest.raises(CommandError, match="never started here; run make lab first"):
        hop.current()
    archive(tmp_path, "13.0.90")
    monkeypatch.setenv(distribution.VARIABLE, str(tmp_path))
    planned = hop.plan_hop("pike", "13.0.90", own_cache=True)
    hop.keep(planned)
    monkeypatch.delenv(distribution.VARIABLE)
    assert hop.current() == planned
    assert planned.target.distribution


def test_what_an_earlier_lab_wrote_down_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "LAB", tmp_path / "lab.json")
    (tmp_path / "lab.json").write_text('{"source": "12.0.3", "target": "13.0.4"}')
    with pytest.raises(
        CommandError, match=r"written by another version of the lab: .*; run make lab"
    ):
        hop.current()


def test_the_command_refuses_a_pair_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["up", "--release", "pike", "--target", "rocky"]) == 1
    assert capsys.readouterr().err == (
        "error: 12.0.3 (Pike) to 14.2.0 (Rocky) skips releases that cannot be skipped; take "
        "Pike → Queens → Rocky, one hop each. Nothing was changed\n"
    )


def test_make_hands_its_variables_on(tmp_path: Path) -> None:
    def shown(*variables: str) -> str:
        show = '--eval=show: ; @echo "$$PYTHONPATH $$KEYSTONE_DIST $(strip $(subst ",,$(hop)))"'
        command = ["make", "-s", "-C", str(paths.ROOT), show, "show", *variables]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
        )
        return done.stdout.strip()

    assert shown() == f"{paths.PLUGINS}  --release pike --target queens"
    assert shown("FROM=2023.1", "TO=25", "OWN_CACHE=1", f"KEYSTONE_DIST={tmp_path}") == (
        f"{paths.PLUGINS} {tmp_path} --release 2023.1 --target 25 --own-cache"
    )
