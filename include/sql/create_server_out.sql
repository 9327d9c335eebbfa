-- Which servers has an upgrade taken out of rotation? An operator's own maint has no row here.
CREATE TABLE IF NOT EXISTS keystone_rollout.server_out (
  cloud VARCHAR(64) NOT NULL,
  server VARCHAR(128) NOT NULL,
  run_id VARCHAR(250) NOT NULL,
  attempt VARCHAR(64) NOT NULL,
  since TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (cloud, server)
)
