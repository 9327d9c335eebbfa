-- Keep the time at which the tables were moved.
UPDATE keystone_rollout.schema_restore SET swapped = %(at)s
WHERE replaced = %(replaced)s AND swapped IS NULL
