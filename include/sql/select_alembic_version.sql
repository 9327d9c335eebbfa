-- Which revisions does the schema stand at, one for each branch?
SELECT version_num FROM alembic_version ORDER BY version_num
