-- What may this account do?
SHOW GRANTS FOR CURRENT_USER
