"""Run the tests that need the lab alone, also where all others run side by side.

With `pytest -n 2` (pytest-xdist) the workers run what needs no lab. After the last of them has
ended, the process that was started runs the rest itself, one test after another, as it does
without workers: nothing else is at work while requests are counted, and two tests never share the
lab. It stays one session, with one summary and one exit status.
"""

from __future__ import annotations

from typing import Any

import pytest

HANDED_OVER = "tests that need the lab"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Watch what this process collects, if it is a worker or has any."""
    config = session.config
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(LeftOut(config))
    elif config.pluginmanager.hasplugin("dsession"):
        config.pluginmanager.register(Afterwards())


def needs_lab(item: pytest.Item) -> bool:
    """Tell whether a test may not run beside another one."""
    return item.get_closest_marker("lab") is not None


class LeftOut:
    """Leave the lab's tests out of what a worker collects, and hand their names over."""

    def __init__(self, config: Any) -> None:
        self.output: dict[str, list[str]] = config.workeroutput

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep what needs no lab; what was deselected before is in neither list."""
        self.output[HANDED_OVER] = [item.nodeid for item in items if needs_lab(item)]
        items[:] = [item for item in items if not needs_lab(item)]


class Afterwards:
    """Run in the controlling process what the workers have left out."""

    def __init__(self) -> None:
        self.names: list[str] | None = None

    def pytest_testnodedown(self, node: Any) -> None:
        """Take the names over from a worker that has ended; all workers collect the same."""
        self.names = getattr(node, "workeroutput", {}).get(HANDED_OVER, self.names)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the tests that were handed over; their files may hold others."""
        wanted = set(self.names or ())
        items[:] = [item for item in items if item.nodeid in wanted]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> object:
        """Let the workers do theirs, then run the rest as pytest's own loop does.

        Its own one would not begin after a failure among the others.
        """
        done = yield
        if self.names is None:
            raise session.Failed("no worker said which tests need the lab, so none of them ran")
        if not self.names:
            return done
        self._collect(session)
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
        return done

    def _collect(self, session: pytest.Session) -> None:
        before = session.testscollected
        config = session.config
        # Among workers a file's name would say nothing; here it says how far the lab's tests are.
        config.pluginmanager.getplugin("terminalreporter").showfspath = config.get_verbosity() >= 0
        files = dict.fromkeys(name.split("::")[0] for name in self.names or ())
        session.perform_collect([str(config.rootpath / file) for file in files])
        missing = set(self.names or ()) - {item.nodeid for item in session.items}
        if missing:
            raise session.Failed(f"not found a second time, so not run: {sorted(missing)}")
        session.testscollected += before
