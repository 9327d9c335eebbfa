-- Who holds the lock, since when, and how long was the holder silent?
-- In epochs, because a local time comes twice when summer ends; those may be unsigned.
SELECT run_id, place, CAST(since AS CHAR),
  CAST(UNIX_TIMESTAMP() AS SIGNED) - CAST(UNIX_TIMESTAMP(heartbeat) AS SIGNED)
FROM keystone_rollout.upgrade_lock WHERE cloud = %(cloud)s
