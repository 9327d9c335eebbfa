-- How far has each migration repository come?
SELECT repository_id, version FROM migrate_version ORDER BY repository_id
