-- Who holds the lock, since when, and how long was the holder silent?
-- All columns in their order: a table of an earlier version lacks the last ones, and is read too.
-- In epochs, because a local time comes twice when summer ends; those may be unsigned.
SELECT CAST(UNIX_TIMESTAMP() AS SIGNED) - CAST(UNIX_TIMESTAMP(held.heartbeat) AS SIGNED), held.*
FROM keystone_rollout.upgrade_lock AS held WHERE held.cloud = %(cloud)s
