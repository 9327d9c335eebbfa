-- Who holds the lock, since when, and how long was the holder silent?
-- All columns in their order: a table of an earlier version lacks the last ones, and is read too.
SELECT TIMESTAMPDIFF(SECOND, held.heartbeat, CURRENT_TIMESTAMP), held.*
FROM keystone_rollout.upgrade_lock AS held WHERE held.cloud = %(cloud)s
