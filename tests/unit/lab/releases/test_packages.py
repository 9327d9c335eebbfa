"""Which packages are served under a version, and when they are made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab import paths
from lab.releases import packages
from lab.releases.builds import Build, find_release

ZED = Build(find_release("zed"), "3.9", "bullseye")
OLD_PYTHON = Build(find_release("2023.1"), "3.9", "bullseye")
NEW_PYTHON = Build(find_release("2023.1"), "3.11", "bookworm")
NEXT = Build(find_release("2024.1"), "3.11", "bookworm")


@pytest.fixture
def repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep package repositories in a directory of the test, with one for each build."""
    monkeypatch.setattr(paths, "PACKAGES", tmp_path)
    monkeypatch.setattr(paths, "SERVED_PACKAGES", tmp_path / "served")
    for build in (ZED, OLD_PYTHON, NEW_PYTHON, NEXT):
        packages.repository(build).mkdir()
        (packages.repository(build) / "Packages").write_text(build.key)
    return tmp_path


def served(repositories: Path) -> dict[str, str]:
    """Return what the repository server would answer, by version."""
    return {
        link.name: (link / "Packages").read_text() for link in (repositories / "served").iterdir()
    }


def test_a_version_is_served_as_the_present_upgrade_needs_it(repositories: Path) -> None:
    packages.serve((ZED, OLD_PYTHON))
    assert served(repositories) == {"22.0.2": "22.0.2-python3.9", "23.0.2": "23.0.2-python3.9"}
    packages.serve((NEW_PYTHON, NEXT))
    assert served(repositories) == {"23.0.2": "23.0.2-python3.11", "25.0.0": "25.0.0-python3.11"}


def test_links_lead_to_a_place_that_the_server_has_under_another_name(repositories: Path) -> None:
    packages.serve((NEW_PYTHON, NEXT))
    link = repositories / "served" / "23.0.2"
    assert str(link.readlink()) == "../23.0.2-python3.11"


def test_packages_are_made_again_when_what_they_are_made_from_changes() -> None:
    pike = Build(find_release("pike"), "2.7", "bullseye")
    private = replace(pike, distribution="1a2b")
    seen = [
        packages.repository_inputs(pike, "builder"),
        packages.repository_inputs(pike, "other builder"),
        packages.repository_inputs(private, "builder"),
        packages.repository_inputs(replace(pike, distribution="3c4d"), "builder"),
    ]
    assert len(set(seen)) == 4
    assert packages.repository_inputs(pike, "builder") == seen[0]
    assert packages.repository(pike) != packages.repository(private)
