-- About how many rows does each table of a schema have, and how many bytes does it take?
SELECT table_name, COALESCE(table_rows, 0), COALESCE(data_length + index_length, 0)
FROM information_schema.tables
WHERE table_schema = %(schema)s AND table_type = 'BASE TABLE' ORDER BY table_name
