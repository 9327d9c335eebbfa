-- Keep a variable's value; the first one kept is the operator's own.
INSERT IGNORE INTO keystone_rollout.saved_variable (server, name, original, run_id)
VALUES (%(server)s, %(name)s, %(original)s, %(run_id)s)
