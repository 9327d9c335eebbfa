#!/bin/bash
# Make the apt repository of one Keystone release: keystone and lab-neighbour.
#
# usage: build-release RELEASE PYTHON API [FILE...]
#        e.g. build-release 12.0.3 python2.7 keystone-wsgi-public keystone-paste.ini
#        API is a script in the virtual environment's bin, or module:attribute; each FILE is one
#        of the release's configuration files, without which it does not start
# reads  /requirements.txt   exact dependency versions
#        /distribution       optional: this release's source archive or wheel, used instead of
#                            PyPI, and configuration files that a wheel lacks
#        OWNER               uid:gid that the result belongs to
#        PIP_CACHE_DIR       one per version of the builder: a wheel compiled in another image
#                            may want libraries that a node does not have
# writes /repository         Packages, Release, *.deb
# exits  3 after a line "error: ...", which says it all
set -euo pipefail

release=$1
python=$2
api=$3
files=("${@:4}")
package=/usr/local/share/keystone-package
root=/tmp/keystone
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

PIP_CACHE_DIR=${PIP_CACHE_DIR:-/root/.cache/pip}
export PIP_CACHE_DIR

step() { echo "== $*"; }

fail() {
    echo "error: $*"
    exit 3
}

# Compiled beside everything else, and once for two builds that run side by side: the second
# finds the first one's wheel in the cache that both share.
build_uwsgi() {
    local version=2.0.28
    if [ "$python" = python2.7 ]; then version=2.0.22; fi
    mkdir -p "$PIP_CACHE_DIR"
    CFLAGS=-O1 UWSGI_PROFILE_OVERRIDE=embedded_plugins=python flock "$PIP_CACHE_DIR/uwsgi.lock" \
        /opt/keystone/bin/pip wheel -q --no-deps --wheel-dir /tmp/wheels "uwsgi==$version"
}

# Early: a version that does not exist is found before anything is compiled.
fetch_keystone() {
    mkdir -p /tmp/source
    distribution=$(find /distribution -name '*.tar.gz' -o -name '*.whl' 2> /dev/null | head -1 || true)
    if [ -z "$distribution" ]; then
        # The wheel of Pike lacks keystone-paste.ini, the source archive has it.
        /opt/keystone/bin/pip download -q --no-deps --no-build-isolation --no-binary :all: \
            -d /tmp "keystone==$release" ||
            fail "keystone $release could not be fetched from the package index, whose answer is" \
                "in the log. Next: choose a version that it has, or set KEYSTONE_DIST to a folder" \
                "with keystone-$release.tar.gz"
        distribution=/tmp/keystone-$release.tar.gz
    fi
    case $distribution in
        *.tar.gz) tar -xzf "$distribution" --strip-components=1 -C /tmp/source ;;
    esac
}

# The version is what the file's name says, also for an archive that was not made by a release.
install_keystone() {
    PBR_VERSION=$release /opt/keystone/bin/pip install -q --no-compile --no-deps \
        --no-build-isolation "$distribution" ||
        fail "keystone $release could not be installed from ${distribution##*/}, see the log"
    local found
    found=$(/opt/keystone/bin/pip show keystone 2> /dev/null | sed -n 's/^Version: //p')
    if [ "$found" != "$release" ]; then
        fail "${distribution##*/} installs keystone ${found:-nothing}, wanted $release"
    fi
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
    fetch_keystone
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
    install_keystone
}

write_uwsgi_ini() {
    local entry="wsgi-file = /opt/keystone/bin/$api"
    case $api in *:*) entry="module = $api" ;; esac
    mkdir -p /opt/keystone/etc
    sed "s|@ENTRY@|$entry|" "$package/uwsgi.ini" > /opt/keystone/etc/uwsgi.ini
}

# From the source archive, from beside a wheel, or from where a wheel has put it.
copy_configuration() {
    local file folder
    for file in "${files[@]}"; do
        for folder in /tmp/source/etc /distribution /opt/keystone/etc/keystone; do
            if [ -f "$folder/$file" ]; then
                cp "$folder/$file" "/opt/keystone/etc/$file"
                continue 2
            fi
        done
        fail "keystone $release: ${distribution##*/} has no $file, without which it does not start"
    done
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
copy_configuration
strip_environment
make_keystone_deb
make_neighbour_deb
make_index
chown -R "${OWNER:-0:0}" /repository
ls -l /repository
