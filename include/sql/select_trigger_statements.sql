-- What do a schema's triggers do, when, and on which table?
SELECT CONCAT('trigger ', trigger_name),
  CONCAT_WS(' ', action_timing, event_manipulation, event_object_table, action_order,
    action_statement)
FROM information_schema.triggers WHERE trigger_schema = %(schema)s
