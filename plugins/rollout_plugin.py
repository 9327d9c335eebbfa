"""Tell Airflow about the pages that this project adds to it."""

from keystone_rollout.web.plugin import RolloutPlugin as RolloutPlugin
