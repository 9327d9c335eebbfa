-- Take the lock, if nobody has it.
INSERT IGNORE INTO keystone_rollout.upgrade_lock (cloud, run_id, place, dag, token)
VALUES (%(cloud)s, %(run_id)s, %(place)s, %(dag)s, %(token)s)
