# The virtual environment and the base images, made side by side.

stamp=$venv/.requirements.sha256
image_inputs='{{ index .Config.Labels "org.keystone-rollout.inputs" }}'

wanted_stamp() { cat requirements.txt requirements-dev.txt | sha256sum | cut -d ' ' -f 1; }

environment_is_current() {
    [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2> /dev/null)" = "$(wanted_stamp)" ]
}

base_images_exist() {
    local inputs suite names="" found
    inputs=$(sha256sum < lab/images/base/make.sh | cut -c 1-16)
    for suite in $suites; do names="$names keystone-rollout/base:$suite"; done
    found=$(docker image inspect -f "$image_inputs" $names 2> /dev/null | grep -cx "$inputs" || true)
    [ "$found" = "$(wc -w <<< "$suites")" ]
}

find_python() {
    local candidate
    for candidate in /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13 /usr/bin/python3 \
        python3.11 python3; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
            2> /dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python of at least 3.11 with venv found, read $(python3 --version 2>&1);" \
        "install python3.11 and python3.11-venv and run this again"
}

# uv's version and no cache in anyone's home: make clean removes every trace.
uv_version=$(sed -n 's/^uv==//p' requirements-dev.txt)

pip_progress() {
    local done total
    total=$(cat requirements.txt requirements-dev.txt | grep -c '==')
    done=$(find "$venv/lib" -maxdepth 3 -name '*.dist-info' 2> /dev/null | wc -l)
    echo "$done of about $total packages installed"
}

# Everything is pinned, so there is nothing to resolve; Python compiles what it imports.
make_environment() {
    local python pip index
    python=$(find_python)
    rm -f "$stamp"
    "$python" -m venv "$venv"
    pip="$venv/bin/python -m pip"
    index=${PIP_INDEX_URL:-$($pip config get global.index-url 2> /dev/null || true)}
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off
    # A quarter of pip's time. Where it does not get through, pip itself may.
    if $pip install -q --no-cache-dir --no-deps "uv==$uv_version" && with_uv "$index"; then return; fi
    $pip install --no-cache-dir --no-deps --no-compile -r requirements.txt -r requirements-dev.txt
}

with_uv() {
    local bundle=/etc/ssl/certs/ca-certificates.crt
    if [ -z "${SSL_CERT_FILE:-}" ] && [ -f $bundle ]; then export SSL_CERT_FILE=$bundle; fi
    # uv leaves lock files there.
    mkdir -p "$state/tmp"
    TMPDIR="$state/tmp" "$venv/bin/uv" pip install --python "$venv/bin/python" --no-config --no-cache --no-deps \
        --no-progress ${1:+--index-url "$1"} -r requirements.txt -r requirements-dev.txt
}

ensure_base_images_and_environment() {
    local start=${EPOCHREALTIME/./} suite pids=""
    if ! base_images_exist; then
        for suite in $suites; do
            lab/images/base/make.sh "$suite" > "$log/base-$suite.log" 2>&1 &
            pids="$pids $suite:$!"
        done
        say "base images (Debian $suites) ..."
    fi
    if ! environment_is_current; then
        say "virtual environment with the pinned packages ..."
        : > "$log/pip.log"
        make_environment > "$log/pip.log" 2>&1 &
        follow $! "environment" pip_progress || {
            tail -n 5 "$log/pip.log" >&2
            fail "the virtual environment could not be made, log $log/pip.log"
        }
        wanted_stamp > "$stamp"
        say "virtual environment made in $(elapsed "$start") s"
    fi
    for suite in $pids; do
        follow "${suite#*:}" "base image ${suite%%:*}" last_line "$log/base-${suite%%:*}.log" || {
            tail -n 5 "$log/base-${suite%%:*}.log" >&2
            fail "base image ${suite%%:*} could not be made, log $log/base-${suite%%:*}.log"
        }
        say "base image ${suite%%:*} made"
    done
    say "set up"
}
