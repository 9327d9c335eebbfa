#!/bin/bash
# Make keystone-rollout/base:SUITE, the one image that all others are built from: pulled where
# a registry answers, else made with debootstrap, which needs nothing but a Debian mirror.
#
# usage: make.sh SUITE      (bookworm, bullseye)
set -euo pipefail

suite=$1
image=keystone-rollout/base:$suite
label=org.keystone-rollout=lab
# A base made by another version of this file is made again, and all that builds on it.
inputs=$(sha256sum < "$0" | cut -c1-16)
format='{{ index .Config.Labels "org.keystone-rollout.inputs" }}'
if [ "$(docker image inspect -f "$format" "$image" 2> /dev/null)" = "$inputs" ]; then exit 0; fi

# The host's own mirror when it runs Debian, else debootstrap's default.
host_mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
        'Label: Debian' 2> /dev/null | grep -m1 '^http' || true
}

# What Debian's own slim images leave out, too.
slim() {
    rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/{doc,man,locale}/*
    printf 'path-exclude=/usr/share/%s/*\n' doc man locale > "$1/etc/dpkg/dpkg.cfg.d/lab-slim"
    printf '%s\n' 'Acquire::Languages "none";' 'Acquire::GzipIndexes "true";' \
        'Dir::Cache::pkgcache "";' 'Dir::Cache::srcpkgcache "";' \
        'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };' \
        > "$1/etc/apt/apt.conf.d/lab-slim"
}

from_registry() {
    timeout "${LAB_PULL_TIMEOUT:-20}" docker pull -q "debian:$suite-slim" || return 1
    printf 'FROM debian:%s-slim\nLABEL %s org.keystone-rollout.inputs=%s\n' \
        "$suite" "$label" "$inputs" | DOCKER_BUILDKIT=0 docker build -q -t "$image" -
}

from_mirror() {
    if [ "$(id -u)" != 0 ] || ! command -v debootstrap > /dev/null; then
        echo "debian:$suite-slim could not be pulled, and debootstrap needs root and the" \
            "package debootstrap" >&2
        return 1
    fi
    root=$(mktemp -d)
    trap 'rm -rf --one-file-system "$root"' EXIT
    debootstrap --variant=minbase "$suite" "$root" $(host_mirror)
    slim "$root"
    tar -C "$root" -c . | docker import --change "LABEL $label" \
        --change "LABEL org.keystone-rollout.inputs=$inputs" --change 'CMD ["bash"]' - "$image"
}

present=$(docker image ls -q "debian:$suite-slim")
if from_registry; then
    # Clean-up removes what was pulled for the project, not what was there before.
    if [ -z "$present" ]; then echo "debian:$suite-slim" >> .lab/pulled-images; fi
else
    from_mirror
fi
