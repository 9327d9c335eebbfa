-- What was a variable's value before an upgrade changed it?
SELECT original FROM keystone_rollout.saved_variable
WHERE server = %(server)s AND name = %(name)s
