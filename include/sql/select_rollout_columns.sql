-- Has an upgrade already made this table of its own, and with which columns?
SELECT column_name FROM information_schema.columns
WHERE table_schema = 'keystone_rollout' AND table_name = %(table)s
