"""The data in the staging cloud's database."""
