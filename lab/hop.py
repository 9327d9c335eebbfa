"""The upgrade that the lab is set up for: two builds, and whether they share a memcached."""

import argparse
import json
from dataclasses import dataclass, replace
from typing import Any

from keystone_rollout.domain.releases.catalogue import Option
from keystone_rollout.domain.releases.identity import parse_identity
from keystone_rollout.domain.releases.release import needed_options, own_cache_reasons
from lab import paths
from lab.releases import distribution
from lab.releases.builds import Build, choose_builds, find_release
from lab.topology import MEMCACHED, MEMCACHED_TARGET
from machine.errors import CommandError


class SourcesMissing(CommandError):
    """A release that neither PyPI nor the operator's folder has."""


@dataclass(frozen=True)
class Hop:
    """One upgrade in the lab; ``own_cache`` gives the target's nodes a memcached of their own."""

    source: Build
    target: Build
    own_cache: bool = False

    @property
    def builds(self) -> tuple[Build, Build]:
        """Return source and target."""
        return self.source, self.target

    def memcached(self, build: Build) -> str:
        """Return the host whose memcached the nodes of one of the two releases use."""
        return MEMCACHED_TARGET if self.own_cache and build == self.target else MEMCACHED

    def options(self, build: Build) -> list[Option]:
        """Return the options with a value that this hop adds to keystone.conf of a release."""
        if build != self.target:
            return []
        needed = needed_options(self.source.release, self.target.release)
        return [option for option in needed if option.value is not None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a command be told which upgrade it is about."""
    names = "release: codename, number or version"
    parser.add_argument("--release", default="pike", help=f"source {names}")
    parser.add_argument("--target", default="queens", help=f"target {names}")
    parser.add_argument(
        "--own-cache",
        action="store_true",
        help="give the target's nodes a memcached of their own, needed or not",
    )


def plan_hop(source_name: str, target_name: str, own_cache: bool = False) -> Hop:
    """Return the upgrade between two releases, each by name, number or version.

    The target gets a memcached of its own if that is asked for, or if the two releases cannot share
    one. Raises CommandError if the lab cannot run the pair; nothing has been made then.
    """
    names = (find_release(source_name), find_release(target_name))
    builds = choose_builds(*names)
    given = [distribution.find(build) for build in builds]
    homeless = [
        build
        for build, each in zip(builds, given, strict=True)
        if each is None and not build.release.series.on_pypi
    ]
    if homeless:
        files = " and ".join(distribution.wanted(build) for build in homeless)
        raise SourcesMissing(
            f"{' and '.join(str(build.release) for build in homeless)}: not on PyPI. Nothing was "
            f"changed. Next: put {files} into a folder, and set {distribution.VARIABLE} to it"
        )
    for build in builds:
        _check_pins(build)
    source, target = (
        replace(build, distribution=each.digest() if each else "")
        for build, each in zip(builds, given, strict=True)
    )
    return Hop(source, target, own_cache or bool(own_cache_reasons(*names)))


def keep(hop: Hop) -> None:
    """Write down the upgrade that the lab is set up for."""
    content = {
        "source": _as_data(hop.source),
        "target": _as_data(hop.target),
        "own_cache": hop.own_cache,
    }
    paths.LAB.write_text(json.dumps(content) + "\n")


def current() -> Hop:
    """Return the upgrade that the lab was set up for."""
    if not paths.LAB.exists():
        raise CommandError("the lab was never started here; run make lab first")
    try:
        content = json.loads(paths.LAB.read_text())
        return Hop(
            _from_data(content["source"]), _from_data(content["target"]), content["own_cache"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(
            f"{paths.LAB} was written by another version of the lab: {error!r}; run make lab"
        ) from error


def _check_pins(build: Build) -> None:
    if not build.pins.exists():
        raise CommandError(
            f"{build}: there is no {build.pins.relative_to(paths.ROOT)} with the exact versions of "
            "what it depends on. Nothing was changed. Next: make that file, or choose another pair"
        )


def _as_data(build: Build) -> dict[str, str]:
    return {
        "version": build.version,
        "python": build.python,
        "suite": build.suite,
        "distribution": build.distribution,
    }


def _from_data(data: dict[str, Any]) -> Build:
    return Build(
        parse_identity(data["version"]), data["python"], data["suite"], data["distribution"]
    )
