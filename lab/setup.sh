#!/usr/bin/env bash
# Everything that has to exist before Python can take over: Debian packages, a Docker engine that
# answers, the virtual environment and the base images. Says what is missing before it changes
# anything, installs only as root on Debian or Ubuntu, and does nothing when nothing is missing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
state=$root/.lab
log=$state/log
venv=$root/.venv
suites="bookworm bullseye"
begin=${EPOCHREALTIME/./}
mkdir -p "$log"
# Background jobs of a script do not hear Ctrl-C. The engine is not among them (disown).
trap 'kill $(jobs -pr) 2> /dev/null || true' EXIT
trap 'exit 130' INT TERM

. lab/setup/console.sh
. lab/setup/requirements.sh
. lab/setup/engine.sh
. lab/setup/environment.sh

find_missing
install_missing
ensure_engine
ensure_base_images_and_environment
