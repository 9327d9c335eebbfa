-- Which restores were begun, how far did they come, and for how long did nobody serve?
CREATE TABLE IF NOT EXISTS keystone_rollout.schema_restore (
  replaced VARCHAR(64) NOT NULL COMMENT 'schema that takes the live tables',
  live VARCHAR(64) NOT NULL,
  backup VARCHAR(250) NOT NULL,
  run_id VARCHAR(250) NOT NULL,
  began DOUBLE NOT NULL COMMENT 'epoch seconds, as all times here: the first server left',
  swapped DOUBLE COMMENT 'the tables were moved',
  lost LONGTEXT COMMENT 'JSON, rows by table',
  served DOUBLE COMMENT 'the first server served again',
  ended DOUBLE COMMENT 'all servers served again',
  outcome VARCHAR(20) COMMENT 'restored, put back or superseded',
  PRIMARY KEY (replaced)
)
