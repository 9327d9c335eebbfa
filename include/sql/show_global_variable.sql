-- Which value does a global variable have? No row where the server does not know it.
SHOW GLOBAL VARIABLES WHERE variable_name = %(name)s
