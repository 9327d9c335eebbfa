#!/bin/bash
# Redis on 127.0.0.1 of the host alone, with the password from /run/secrets/redis_password.
#
# It keeps nothing on disk: what is lost with it, the scheduler queues again.
set -euo pipefail

secret=/run/secrets/redis_password
if [ ! -s "$secret" ]; then
    echo "error: $secret is missing or empty; make it with: make airflow" >&2
    exit 1
fi
umask 077
cat > /run/redis.conf <<END
bind 127.0.0.1
port 6380
save ""
appendonly no
requirepass $(cat "$secret")
END
chown redis:redis /run/redis.conf
exec setpriv --reuid=redis --regid=redis --clear-groups redis-server /run/redis.conf
