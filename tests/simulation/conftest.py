"""Fixtures of this folder: an Airflow with a database, and the DAGs."""

from tests.airflow_fixtures import dags, initialised_airflow

__all__ = ["dags", "initialised_airflow"]
