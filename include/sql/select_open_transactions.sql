-- Which transactions are open, oldest first, and for how many seconds? InnoDB notes their beginning
-- in the system's time zone.
SELECT p.id, p.user,
  TIMESTAMPDIFF(SECOND, CONVERT_TZ(t.trx_started, 'SYSTEM', @@SESSION.time_zone), NOW())
FROM information_schema.innodb_trx t
JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
ORDER BY t.trx_started
