-- How many rows does this table have?
SELECT COUNT(*) FROM {table}
