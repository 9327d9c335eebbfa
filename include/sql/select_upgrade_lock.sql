-- Who holds the lock, since when, and how long was the holder silent?
SELECT run_id, place, CAST(since AS CHAR), TIMESTAMPDIFF(SECOND, heartbeat, CURRENT_TIMESTAMP)
FROM keystone_rollout.upgrade_lock WHERE cloud = %(cloud)s
