"""Airflow as operators run it: the containers of docker-compose.yaml's profiles airflow, celery."""
