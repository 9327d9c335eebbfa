"""Airflow against the lab: its environment, its page, and runs of its DAGs."""
