#!/bin/bash
# Make the apt repository of one Keystone release: keystone and lab-neighbour.
#
# usage: build-release RELEASE PYTHON     e.g. build-release 12.0.3 python2.7
# reads  /requirements.txt   exact dependency versions
#        /sources            optional: source archives of releases that PyPI does not have
#        OWNER               uid:gid that the result belongs to
#        PIP_CACHE_DIR       one per version of the builder: a wheel compiled in another image
#                            may want libraries that a node does not have
# writes /repository         Packages, Release, *.deb
set -euo pipefail

release=$1
python=$2
major=${release%%.*}
package=/usr/local/share/keystone-package
root=/tmp/keystone
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

PIP_CACHE_DIR=${PIP_CACHE_DIR:-/root/.cache/pip}
export PIP_CACHE_DIR

step() { echo "== $*"; }

# Compiled beside everything else, and once for two builds that run side by side: the second
# finds the first one's wheel in the cache that both share.
build_uwsgi() {
    local version=2.0.28
    if [ "$python" = python2.7 ]; then version=2.0.22; fi
    mkdir -p "$PIP_CACHE_DIR"
    CFLAGS=-O1 UWSGI_PROFILE_OVERRIDE=embedded_plugins=python flock "$PIP_CACHE_DIR/uwsgi.lock" \
        /opt/keystone/bin/pip wheel -q --no-deps --wheel-dir /tmp/wheels "uwsgi==$version"
}

fetch_source() {
    mkdir -p /tmp/source
    local given
    given=$(find /sources -maxdepth 1 -name "keystone-$release.tar.gz" 2>/dev/null | head -1 || true)
    if [ -n "$given" ]; then
        cp "$given" /tmp/source/
    else
        # The wheel of Pike lacks keystone-paste.ini, the source archive has it.
        /opt/keystone/bin/pip download -q --no-deps --no-build-isolation --no-binary :all: \
            -d /tmp/source "keystone==$release"
    fi
    tar -xzf "/tmp/source/keystone-$release.tar.gz" -C /tmp/source
}

make_environment() {
    step "virtualenv with $python"
    python3 -m venv /tmp/tool
    /tmp/tool/bin/pip install -q 'virtualenv==20.21.1'
    /tmp/tool/bin/virtualenv -q -p "$python" /opt/keystone
    local pip=/opt/keystone/bin/pip
    # sqlalchemy-migrate and others of that time need use_2to3, which setuptools 58 dropped.
    if [ "$python" = python3.9 ]; then $pip install -q --no-compile 'setuptools<58'; fi
    step "dependencies"
    $pip install -q --no-compile --no-deps "$(grep -i '^pbr==' /requirements.txt || echo pbr)"
    build_uwsgi &
    local uwsgi=$!
    # Several at a time: most of it is waiting for the index, or one compiler.
    grep '==' /requirements.txt |
        xargs -P 3 -n 12 $pip wheel -q --no-deps --wheel-dir /tmp/wheels
    step "uwsgi"
    wait $uwsgi
    step "installation"
    $pip install -q --no-compile --no-deps /tmp/wheels/*.whl
    step "keystone $release"
    fetch_source
    $pip install -q --no-compile --no-deps --no-build-isolation "/tmp/source/keystone-$release.tar.gz"
}

write_uwsgi_ini() {
    local entry="wsgi-file = /opt/keystone/bin/keystone-wsgi-public"
    if [ "$major" -ge 29 ]; then entry="module = keystone.wsgi.api:application"; fi
    mkdir -p /opt/keystone/etc
    sed "s|@ENTRY@|$entry|" "$package/uwsgi.ini" > /opt/keystone/etc/uwsgi.ini
    local paste="/tmp/source/keystone-$release/etc/keystone-paste.ini"
    if [ -f "$paste" ]; then cp "$paste" /opt/keystone/etc/; fi
}

strip_environment() {
    local site
    site=$(echo /opt/keystone/lib/python*/site-packages)
    find "$site" -depth -type d \( -name tests -o -name test -o -name locale \) -exec rm -rf {} +
    # keystone imports nothing of its own tests, but some old libraries ship C sources and docs.
    find "$site" -type f \( -name '*.c' -o -name '*.h' -o -name '*.po' -o -name '*.whl' \) -delete
    /opt/keystone/bin/pip uninstall -q -y pip wheel
    rm -rf /opt/keystone/share "$site/Crypto/SelfTest"
    find "$site/babel/locale-data" -name '*.dat' ! -name 'en*' ! -name 'root*' -delete 2> /dev/null || true
    "/opt/keystone/bin/python" -m compileall -q "$site" > /dev/null || true
}

control() {  # name, depends, description
    cat <<EOF
Package: $1
Version: $release-1
Section: net
Priority: optional
Architecture: $(dpkg --print-architecture)
Maintainer: keystone-rollout lab <lab@localhost>
Depends: $2
Description: $3
EOF
}

make_keystone_deb() {
    step "package"
    mkdir -p $root/DEBIAN $root/opt $root/usr/bin $root/etc/init.d
    cp -a /opt/keystone $root/opt/
    ln -s /opt/keystone/bin/keystone-manage $root/usr/bin/keystone-manage
    install -m 0755 "$package/keystone.init" $root/etc/init.d/keystone
    install -m 0755 "$package/postinst" $root/DEBIAN/postinst
    control keystone "adduser, lsb-base, netbase, $python, lib$python" \
        "OpenStack Identity $release in a virtual environment" > $root/DEBIAN/control
    # Compression costs an operator's node time and saves a lab's disk nothing worth it.
    dpkg-deb --root-owner-group -Zgzip -z1 --build $root /repository > /dev/null
}

make_neighbour_deb() {
    local other=/tmp/lab-neighbour
    mkdir -p $other/DEBIAN $other/usr/share/lab-neighbour
    echo "$release" > $other/usr/share/lab-neighbour/release
    control lab-neighbour "" "Another OpenStack service that shares the node" \
        | grep -v '^Depends: $' > $other/DEBIAN/control
    dpkg-deb --root-owner-group -Zgzip -z1 --build $other /repository > /dev/null
}

make_index() {
    cd /repository
    apt-ftparchive packages . > Packages
    apt-ftparchive -o APT::FTPArchive::Release::Suite="$release" release . > /tmp/Release
    mv /tmp/Release Release
}

rm -f /repository/*
make_environment
write_uwsgi_ini
strip_environment
make_keystone_deb
make_neighbour_deb
make_index
chown -R "${OWNER:-0:0}" /repository
ls -l /repository
