-- Take the lock over from a dead run, unless it was heard of again meanwhile.
-- Ahead of now it is old as well: the clock was set back since. Epochs may be unsigned.
UPDATE keystone_rollout.upgrade_lock
SET run_id = %(run_id)s, place = %(place)s, dag = %(dag)s, token = %(token)s,
  since = CURRENT_TIMESTAMP, heartbeat = CURRENT_TIMESTAMP
WHERE cloud = %(cloud)s AND run_id = %(broken)s AND token = %(broken_token)s
  AND ABS(CAST(UNIX_TIMESTAMP() AS SIGNED) - CAST(UNIX_TIMESTAMP(heartbeat) AS SIGNED)) >= %(stale_seconds)s
