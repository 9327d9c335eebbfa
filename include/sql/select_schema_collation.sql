-- Which character set and collation do a schema's new tables get?
SELECT default_character_set_name, default_collation_name
FROM information_schema.schemata WHERE schema_name = %(schema)s
