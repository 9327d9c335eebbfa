-- Who upgrades this cloud? One row per cloud, for every Airflow and every person.
CREATE TABLE IF NOT EXISTS keystone_rollout.upgrade_lock (
  cloud VARCHAR(64) NOT NULL PRIMARY KEY,
  run_id VARCHAR(250) NOT NULL,
  place VARCHAR(250) NOT NULL,
  since TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  heartbeat TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  dag VARCHAR(250) NOT NULL DEFAULT '',
  token VARCHAR(64) NOT NULL DEFAULT ''
)
