"""What a person fills in to trigger a DAG."""
