-- How many triggers does a schema have?
SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = %(schema)s
