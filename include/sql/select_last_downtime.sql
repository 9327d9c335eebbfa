-- For how long did nobody serve in the last restore that was measured to its end?
SELECT began, served, ended FROM keystone_rollout.schema_restore
WHERE live = %(live)s AND outcome = 'restored' ORDER BY ended DESC LIMIT 1
