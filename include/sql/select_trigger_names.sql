-- Which triggers does a schema have?
SELECT trigger_name FROM information_schema.triggers
WHERE trigger_schema = %(schema)s ORDER BY trigger_name
