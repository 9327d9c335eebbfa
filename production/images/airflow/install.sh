#!/bin/bash
# Install the pinned Python packages into /opt/venv of an image that is about to be committed.
#
# reads  /requirements/*.txt   exact versions, so that there is nothing to resolve
#        /requirements/index   optional: the package index and proxies, as shell assignments
#        CA bundle             mounted over Debian's own, so that it is in no layer
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
bundle=/etc/ssl/certs/ca-certificates.crt
export PIP_CERT=$bundle SSL_CERT_FILE=$bundle
compilers="gcc libc6-dev python3-dev python3-venv default-libmysqlclient-dev pkg-config"

step() { echo "== $*"; }

if [ -f /requirements/index ]; then
    set -a
    . /requirements/index
    set +a
fi

step compilers
apt-get update -q
apt-get install -q -y --no-install-recommends $compilers

step virtual environment
python3 -m venv --without-pip /opt/venv
python3 -m venv /tmp/installer
uv_version=$(sed -n 's/^uv==//p' /requirements/uv.txt)
/tmp/installer/bin/pip install -q --no-cache-dir --no-deps "uv==$uv_version"

step packages
# Compiled here: the containers' file system is read-only, they would do it at every start.
/tmp/installer/bin/uv pip install --python /opt/venv/bin/python --no-config --no-cache --no-deps \
    --no-progress --compile-bytecode ${PIP_INDEX_URL:+--index-url "$PIP_INDEX_URL"} \
    -r /requirements/project.txt -r /requirements/production.txt

step clean-up
apt-get purge -q -y --autoremove $compilers
rm -rf /tmp/installer /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
/opt/venv/bin/python -c 'import MySQLdb, psycopg, airflow.providers.docker, airflow.providers.ssh'
