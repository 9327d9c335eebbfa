-- Release the lock, if it is still this run's.
DELETE FROM keystone_rollout.upgrade_lock WHERE cloud = %(cloud)s AND run_id = %(run_id)s AND token = %(token)s
