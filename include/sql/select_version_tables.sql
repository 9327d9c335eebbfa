-- Which of the two tables that record the schema's version exist?
SELECT table_name FROM information_schema.tables
WHERE table_schema = %(schema)s AND table_name IN ('alembic_version', 'migrate_version')
