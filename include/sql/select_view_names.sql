-- Which views does a schema have?
SELECT table_name FROM information_schema.views
WHERE table_schema = %(schema)s ORDER BY table_name
