-- Keep the number of writes that moving the tables undoes, before they are moved.
UPDATE keystone_rollout.schema_restore SET lost = %(lost)s
WHERE replaced = %(replaced)s AND swapped IS NULL
