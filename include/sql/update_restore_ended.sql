-- Keep the time at which all servers served again.
UPDATE keystone_rollout.schema_restore SET ended = %(at)s
WHERE replaced = %(replaced)s AND ended IS NULL
