-- Release the lock, if it is still this run's.
DELETE FROM keystone_rollout.upgrade_lock WHERE cloud = %(cloud)s AND token = %(token)s
