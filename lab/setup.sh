#!/usr/bin/env bash
# Everything that has to exist before Python can take over, in three parts, each with those before:
#
#   environment  the virtual environment; enough for whatever prints or checks
#   lab          a Docker engine that answers, the base images and MariaDB's client
#   tests        Chromium and its fonts; OpenSSH's server (not started) and socat
#
# Says what is missing before it changes anything, installs only as root on Debian or Ubuntu, and
# does nothing if nothing is missing.
#
# usage: setup.sh [environment|lab|tests]      (without: tests, which is everything)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
part=${1:-tests}
root=$PWD
state=$root/.lab
log=$state/log
venv=$root/.venv
begin=${EPOCHREALTIME/./}

. lab/setup/console.sh
. lab/setup/requirements.sh
. lab/setup/engine.sh
. lab/setup/images.sh
. lab/setup/environment.sh

case $part in environment | lab | tests) ;; *) fail "no part '$part': environment, lab or tests" ;; esac
mkdir -p "$log"
# Background jobs of a script do not hear Ctrl-C. The engine is not among them (disown).
trap 'kill $(jobs -pr) 2> /dev/null || true' EXIT
trap 'exit 130' INT TERM

find_missing "$part"
install_missing
if [ "$part" = environment ]; then
    ensure_environment
else
    ensure_engine
    begin_base_images
    ensure_environment
    await_base_images
    say "set up"
fi
