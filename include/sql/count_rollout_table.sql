-- Has an upgrade already made this table of its own?
SELECT COUNT(*) FROM information_schema.tables
WHERE table_schema = 'keystone_rollout' AND table_name = %(table)s
