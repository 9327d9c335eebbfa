"""Airflow's pages as an operator uses them, one method for each thing that is done there.

Elements are found by what an operator sees (role, label, text), by a param's name, or by Airflow's
own test ids; never by generated classes. Where a button has a test id, that is what counts: on a
busy machine its label may have been drawn before Airflow had its words, and is not drawn again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from playwright.sync_api import Locator, Page, expect

QUICK_MS = 30_000
"""For whatever only needs the web server, which shares the machine with an upgrade."""
POLL_MS = 500

Value = str | float | bool


class AirflowPages:
    """One browser page, somewhere in one Airflow."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        page.set_default_timeout(QUICK_MS)

    def log_in(self, user: str, password: str) -> None:
        """Fill in the login; it says so where it refuses."""
        self.page.goto(f"{self.address}/")
        self.page.get_by_label("Username").fill(user)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def wait_until_logged_in(self) -> None:
        """Wait for what only somebody who is logged in sees."""
        self.page.get_by_test_id("nav-dags-link").wait_for()

    def open_dag(self, dag: str) -> DagPage:
        """Open a DAG's page."""
        self.page.goto(f"{self.address}/dags/{dag}")
        return DagPage(self.page)

    def open_run(self, dag: str, run: str) -> RunPage:
        """Open the page of a run."""
        shown = RunPage(self.page, f"{self.address}/dags/{dag}/runs/{run}", run)
        shown.open()
        return shown


class DagPage:
    """The page of one DAG."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open_trigger_form(self) -> TriggerForm:
        """Open the form that starts a run."""
        self.page.get_by_test_id("trigger-dag-button").click()
        return TriggerForm(self.page)


class TriggerForm:
    """The form that starts a run; its fields are told apart by the names of the DAG's params."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.submit = page.get_by_test_id("trigger-dag-submit")
        self.dialog = page.get_by_role("dialog").filter(has=self.submit)
        self.dialog.wait_for()

    def fill(self, values: Mapping[str, Value]) -> None:
        """Fill in fields, whatever section of the form they are in."""
        for name, value in values.items():
            self._reveal(self._field(name))
            self._fill_one(name, value)

    def name_run(self, run: str) -> None:
        """Give the run an id of one's own."""
        field = self.dialog.get_by_label("Run ID")
        if not field.is_visible():
            self.dialog.get_by_role("button", name="Advanced Options").click()
        field.fill(run)

    def show_section_of(self, name: str) -> None:
        """Open the section that a field is in."""
        self._reveal(self._field(name))

    def incomplete(self) -> list[str]:
        """Return the sections that the form marks as not filled in, though nobody touched it."""
        marked = self.dialog.locator("button[aria-expanded]").filter(has=self.page.locator("svg"))
        return [one.inner_text() for one in marked.all() if _is_marked(one)]

    def trigger(self) -> None:
        """Start the run; AssertionError where the form does not let itself be sent."""
        assert self.submit.is_enabled(), f"the form lacks something in {self.incomplete()}"
        self.submit.click()

    def wait_until_started(self) -> None:
        """Wait until the form has closed, because the run was made."""
        self.dialog.wait_for(state="detached", timeout=QUICK_MS * 2)

    def wait_until_refused(self) -> None:
        """Wait until the server has refused the values; the form stays open."""
        self.page.get_by_text("Failed to Trigger Dag").wait_for()
        assert self.dialog.is_visible()

    def _field(self, name: str) -> Locator:
        return self.dialog.locator(f'[name="element_{name}"]')

    def _reveal(self, field: Locator) -> None:
        header = field.locator("xpath=ancestor::*[@role='region'][1]/preceding-sibling::button")
        if header.get_attribute("aria-expanded") != "true":
            header.click()
        expect(header).to_have_attribute("aria-expanded", "true", timeout=QUICK_MS)

    def _fill_one(self, name: str, value: Value) -> None:
        field = self._field(name)
        if isinstance(value, bool):
            field.set_checked(value, force=True)
        elif field.get_attribute("type") == "hidden":
            choice = self.dialog.locator(f"#element_{name}").get_by_role("combobox")
            choice.fill(str(value))
            self.page.get_by_role("option", name=str(value), exact=True).click()
        else:
            field.fill(str(value))


class RunPage:
    """The page of one run, and those of its tasks."""

    def __init__(self, page: Page, address: str, run: str) -> None:
        self.page = page
        self.address = address
        self.run = run

    def open(self) -> None:
        """Show the run itself."""
        self.page.goto(self.address)
        self._state_of(self.run).wait_for()

    def open_task(self, task: str) -> None:
        """Show one task of the run."""
        self.page.goto(f"{self.address}/tasks/{task}")
        self._state_of(task).wait_for()

    def open_all_groups(self, shown: str) -> None:
        """Unfold the task groups of the grid, so that every task has its row.

        :param shown: a task in a group, whose square is waited for
        """
        button = self.page.get_by_test_id("expand-all-button")
        button.click()
        expect(button).to_be_disabled(timeout=QUICK_MS)
        self.page.locator(f"a[href*='/runs/{self.run}/tasks/{shown}']").first.wait_for()

    def wait_for_state(self, name: str, state: str, seconds: float) -> None:
        """Watch the run or the task that is shown; AssertionError when it fails instead.

        :param name: the run's id or the task's, whichever is shown
        :param state: in Airflow's words: Success, Running, Awaiting Input
        """
        badge = self._state_of(name)
        end = time.monotonic() + seconds
        while (shown := badge.inner_text().strip()) != state:
            assert shown not in ("Failed", "Upstream Failed"), f"{name}: {shown}, not {state}"
            assert time.monotonic() < end, f"{name}: {shown or 'no state'} after {seconds:g} s"
            self.page.wait_for_timeout(POLL_MS)

    def open_question(self, task: str) -> Locator:
        """Show what a task asks; return the place of the question and its buttons."""
        self.page.goto(f"{self.address}/tasks/{task}/required_actions")
        self._approval.wait_for()
        tab = self.page.locator(f"a[href$='/tasks/{task}/required_actions']")
        tab.filter(has_text="Required Action").wait_for()
        return self.page.get_by_test_id("main-content")

    def approve(self) -> None:
        """Approve what is asked, and wait until that is known."""
        self._approval.click()
        expect(self._approval).to_be_disabled(timeout=QUICK_MS)

    def open_report(self, task: str) -> Page:
        """Follow a task's link to the report, which opens in the same window."""
        return self._follow(task, "Report", "report.html")

    def open_load(self, task: str) -> Page:
        """Follow a task's link to the load's numbers, which opens in the same window."""
        return self._follow(task, "Load", "load.html")

    def _follow(self, task: str, link: str, page: str) -> Page:
        self.page.goto(f"{self.address}/tasks/{task}/details")
        self.page.get_by_role("link", name=link, exact=True).click()
        self.page.wait_for_url(f"**/{page}")
        return self.page

    @property
    def _approval(self) -> Locator:
        return self.page.get_by_role("button", name="Approve", exact=True)

    def _state_of(self, name: str) -> Locator:
        return self.page.locator(
            f"xpath=//h2[normalize-space()={name!r}]"
            "/following-sibling::*[@data-testid='state-badge']"
        )


def _is_marked(header: Locator) -> bool:
    """Tell whether a section's header has a mark besides the arrow that unfolds it."""
    return header.locator("svg").count() > 1
