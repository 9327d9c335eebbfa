"""Link tasks to the pages about them: the load's, HAProxy's statistics, the report.

A link appears as soon as its operator calls `show`, not only at the task's end, because people want
to look while the task runs.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.files.run_pages import LOAD_PAGE, history_address, run_page_address


class ShownLink(BaseOperatorLink):
    """A link that appears once its operator has called `show`."""

    name = "Page"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address, which Airflow keeps as an XCom at the task's end."""
        return str(getattr(operator, "shown_pages", {}).get(self.name, ""))

    def show(self, operator: Any, context: Any, address: str) -> None:
        """Make the link appear now, on the page of the running task."""
        operator.shown_pages = {**getattr(operator, "shown_pages", {}), self.name: address}
        if address:
            context["ti"].xcom_push(key=self.xcom_key, value=address)


class StatisticsLink(ShownLink):
    """The link to the first HAProxy statistics page that the cloud file names."""

    name = "HAProxy statistics"

    def show_cloud(self, operator: Any, context: Any, cloud: Cloud) -> None:
        """Make the link appear if the cloud file has an address for it."""
        known = (balancer.statistics for balancer in cloud.load_balancers if balancer.statistics)
        self.show(operator, context, next(known, ""))


class ReportLink(ShownLink):
    """The link to the run's report, as Airflow's api-server serves it."""

    name = "Report"
    page = "report.html"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address below Airflow's own, which may be behind a path."""
        return report_address(str(ti_key.run_id), self.page, str(ti_key.dag_id))

    def show_run(self, operator: Any, context: Any) -> None:
        """Make the link appear."""
        address = report_address(str(context["run_id"]), self.page, str(context["ti"].dag_id))
        self.show(operator, context, address)


class LoadLink(ReportLink):
    """The link to the numbers of the run's load, as they are now."""

    name = "Load"
    page = LOAD_PAGE


class PlanLink(ReportLink):
    """The link to the plan's page."""

    name = "Plan"
    page = "plan.html"


class HistoryLink(ShownLink):
    """The link to the rehearsals of a cloud, as Airflow's api-server serves them."""

    name = "History"

    def show_cloud(self, operator: Any, context: Any, cloud: str) -> None:
        """Make the link appear."""
        self.show(operator, context, _below_base(history_address(cloud)))


def report_address(run_id: str, page: str, dag: str = "") -> str:
    """Return a page's address without host: only the browser knows the api-server's name."""
    return _below_base(run_page_address(run_id, page, dag))


def _below_base(address: str) -> str:
    base = urlsplit(str(conf.get("api", "base_url", fallback="") or "")).path.rstrip("/")
    return base + address
