"""Simulate: every effect of every DAG with every fault, then random schedules; say what was broken.

`make simulate` runs it; SEED=<number> tells one schedule again, with all that its runs said.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCHEDULES = 10_000
CHUNK = 100

# Airflow reads these when it is imported.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="keystone-rollout-simulation-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
sys.path[:0] = [str(ROOT / "dags"), str(ROOT / "plugins")]

from airflow.sdk import DAG  # noqa: E402

from tests.simulation.stories import (  # noqa: E402
    DAGS,
    Story,
    Told,
    effects_of,
    known_of,
    one_fault,
    random_story,
    tell,
)
from tests.simulation.world import Fault  # noqa: E402


def our_dags() -> dict[str, DAG]:
    """Return the DAGs from their files, without Airflow's database."""
    return {name: importlib.import_module(name).dag for name in DAGS}


def tell_all(stories: list[Story]) -> list[tuple[str, bool, str]]:
    """Return each violation of some stories: its kind, whether it is known, and the story."""
    dags, found = our_dags(), []
    for story in stories:
        told = tell(dags, story)
        known = known_of(told)
        found += [(each.kind, known is not None, str(told)) for each in told.violations]
    return found


def simulate(stories: list[Story]) -> dict[str, list[str]]:
    """Tell stories on every core; return the texts of those that broke a rule, by its kind."""
    chunks = [stories[begin : begin + CHUNK] for begin in range(0, len(stories), CHUNK)]
    found: dict[str, list[str]] = defaultdict(list)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for told in pool.map(tell_all, chunks):
            for kind, known, text in told:
                found[f"{kind} (known)" if known else kind].append(text)
    return found


def say(what: str, stories: int, began: float, found: dict[str, list[str]]) -> None:
    """Print how many stories were told, in which time, and which rules they broke."""
    print(f"{what}: {stories} stories, {time.monotonic() - began:.0f} s")
    for kind, texts in sorted(found.items()):
        print(f"  {kind}: {len(texts)}")
        if not kind.endswith("(known)"):
            print("\n".join(f"    {line}" for line in texts[0].splitlines()))


def told_again(dags: dict[str, DAG], seed: int, lengths: dict[str, int]) -> Told:
    """Tell one random schedule."""
    return tell(dags, random_story(seed, lengths))


def every_effect(dags: dict[str, DAG]) -> Iterable[Story]:
    """Yield a story for every effect of every DAG and every fault."""
    for name in DAGS:
        yield from one_fault(name, effects_of(dags, name), list(Fault))


def main() -> int:
    dags = our_dags()
    lengths = {name: len(effects_of(dags, name)) for name in DAGS}
    print("effects: " + ", ".join(f"{name} {number}" for name, number in lengths.items()))
    if seed := os.environ.get("SEED"):
        told = told_again(dags, int(seed), lengths)
        print(told)
        return int(bool(told.violations))
    unknown = 0
    for what, stories in (
        ("every effect", list(every_effect(dags))),
        ("random schedules", [random_story(seed, lengths) for seed in range(SCHEDULES)]),
    ):
        began = time.monotonic()
        found = simulate(stories)
        say(what, len(stories), began, found)
        unknown += sum(len(texts) for kind, texts in found.items() if "(known)" not in kind)
    print(f"violations that are not known: {unknown}")
    return int(bool(unknown))


if __name__ == "__main__":
    sys.exit(main())
