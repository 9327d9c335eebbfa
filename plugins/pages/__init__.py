"""What Airflow's api-server shows beyond its own pages."""
