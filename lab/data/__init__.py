"""The data in the staging cloud's database, and what the database says about it."""
