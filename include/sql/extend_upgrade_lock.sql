-- Give the lock of an earlier version the columns that tell runs of one id apart.
ALTER TABLE keystone_rollout.upgrade_lock
  ADD COLUMN dag VARCHAR(250) NOT NULL DEFAULT '',
  ADD COLUMN token VARCHAR(64) NOT NULL DEFAULT ''
