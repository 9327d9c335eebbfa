-- Mark a server as taken out by this attempt; an earlier attempt at it is over then.
REPLACE INTO keystone_rollout.server_out (cloud, server, run_id, attempt)
VALUES (%(cloud)s, %(server)s, %(run_id)s, %(attempt)s)
