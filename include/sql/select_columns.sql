-- Which columns do a schema's tables have, of which kind, and which of them are the primary key?
SELECT c.table_name, c.column_name, CONCAT(c.data_type, COALESCE(c.datetime_precision, '')),
  COALESCE(c.collation_name, ''), c.column_key = 'PRI'
FROM information_schema.columns AS c
JOIN information_schema.tables AS t
  ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema = %(schema)s AND t.table_type = 'BASE TABLE'
ORDER BY c.table_name, c.ordinal_position
