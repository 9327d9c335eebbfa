"""Add the pages of runs to Airflow."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from keystone_rollout.hooks.files.run_pages import PREFIX


class RolloutPlugin(AirflowPlugin):
    """The plugin that mounts the pages in the api-server.

    Every process of Airflow loads this file, also that of each task, but only the api-server
    needs the application: so it is imported late.
    """

    name = "keystone_rollout"

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """Return the application and where it is mounted."""
        from keystone_rollout.web.app import make_app

        return [{"name": "Keystone rollout", "app": make_app(), "url_prefix": PREFIX}]
