-- Which value does a global variable have? No row if the server does not know it.
SHOW GLOBAL VARIABLES WHERE variable_name = %(name)s
