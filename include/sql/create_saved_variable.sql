-- Where is a global variable's original value kept, so that it outlives the run that changed it?
CREATE TABLE IF NOT EXISTS keystone_rollout.saved_variable (
  server VARCHAR(255) NOT NULL,
  name VARCHAR(64) NOT NULL,
  original VARCHAR(64) NOT NULL,
  run_id VARCHAR(250) NOT NULL,
  since TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (server, name)
)
