-- Forget a variable's value, once it is reset.
DELETE FROM keystone_rollout.saved_variable WHERE server = %(server)s AND name = %(name)s
