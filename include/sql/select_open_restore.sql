-- Which restore of a schema was begun last and is still open?
SELECT replaced, backup, began, swapped, lost, served, ended
FROM keystone_rollout.schema_restore
WHERE live = %(live)s AND outcome IS NULL ORDER BY began DESC LIMIT 1
