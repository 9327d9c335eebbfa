-- Tell that the holder is alive.
UPDATE keystone_rollout.upgrade_lock SET heartbeat = CURRENT_TIMESTAMP
WHERE cloud = %(cloud)s AND run_id = %(run_id)s AND token = %(token)s
