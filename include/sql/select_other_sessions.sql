-- Who else works in a schema, and might write into it?
SELECT id, user, host, command FROM information_schema.processlist
WHERE db = %(schema)s AND id <> CONNECTION_ID()
  AND user NOT IN (%(reader)s, 'system user', 'event_scheduler')
ORDER BY id
