#!/bin/bash
# MariaDB with the lab's accounts. /lab/accounts.sql is mounted read-only and readable by root
# alone; it is applied at every start, so that accounts always match the lab's secrets.
set -euo pipefail

install -d -o mysql -g mysql -m 0755 /run/mysqld
chown mysql:mysql /var/lib/mysql
if [ ! -d /var/lib/mysql/mysql ]; then
    mariadb-install-db --user=mysql --auth-root-authentication-method=socket \
        --skip-test-db > /dev/null
fi
install -o mysql -g mysql -m 0600 /lab/accounts.sql /run/mysqld/accounts.sql
exec mariadbd --user=mysql --init-file=/run/mysqld/accounts.sql
