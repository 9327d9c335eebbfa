-- Keep the outcome of a restore; it is not open any more.
UPDATE keystone_rollout.schema_restore SET outcome = %(outcome)s
WHERE replaced = %(replaced)s AND outcome IS NULL
