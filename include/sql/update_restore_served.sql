-- Keep the time at which the first server served again.
UPDATE keystone_rollout.schema_restore SET served = %(at)s
WHERE replaced = %(replaced)s AND served IS NULL
