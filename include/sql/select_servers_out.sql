-- Which servers of a cloud are marked as taken out, by which run and attempt, since when?
SELECT server, run_id, attempt, CAST(since AS CHAR)
FROM keystone_rollout.server_out WHERE cloud = %(cloud)s
