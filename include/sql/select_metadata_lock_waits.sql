-- Which sessions of a schema wait for a metadata lock, and for how many seconds?
SELECT id, time, LEFT(info, 1000) FROM information_schema.processlist
WHERE db = %(schema)s AND state = 'Waiting for table metadata lock' ORDER BY id
