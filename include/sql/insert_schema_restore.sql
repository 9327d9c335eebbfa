-- Begin a restore.
INSERT INTO keystone_rollout.schema_restore (replaced, live, backup, run_id, began)
VALUES (%(replaced)s, %(live)s, %(backup)s, %(run_id)s, %(began)s)
