-- Keep what the move of the tables undoes, before they are moved.
UPDATE keystone_rollout.schema_restore SET lost = %(lost)s
WHERE replaced = %(replaced)s AND swapped IS NULL
