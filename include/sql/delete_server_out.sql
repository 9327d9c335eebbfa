-- Forget that a server was taken out: it serves again.
DELETE FROM keystone_rollout.server_out WHERE cloud = %(cloud)s AND server = %(server)s
