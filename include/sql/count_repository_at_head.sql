-- Does one repository stand at the head that the upgrade image carries?
SELECT COUNT(*) FROM migrate_version
WHERE repository_id = %(repository)s AND version = %(head)s
