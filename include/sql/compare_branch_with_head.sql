-- Is the head the only recorded revision, apart from those of the other branch?
SELECT COUNT(*) = 1 AND MIN(version_num) = %(head)s FROM alembic_version
WHERE FIND_IN_SET(version_num, %(others)s) = 0
