-- How many bytes does a schema take on the server?
SELECT COALESCE(SUM(data_length + index_length), 0)
FROM information_schema.tables WHERE table_schema = %(schema)s
