# The virtual environment with the pinned packages.

stamp=$venv/.requirements.sha256

wanted_stamp() { cat requirements.txt requirements-dev.txt | sha256sum | cut -d ' ' -f 1; }

environment_is_current() {
    [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2> /dev/null)" = "$(wanted_stamp)" ]
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

ensure_environment() {
    local start=${EPOCHREALTIME/./}
    if environment_is_current; then return; fi
    say "virtual environment with the pinned packages ..."
    : > "$log/pip.log"
    make_environment > "$log/pip.log" 2>&1 &
    follow $! "environment" pip_progress || {
        tail -n 5 "$log/pip.log" >&2
        fail "the virtual environment could not be made, log $log/pip.log"
    }
    wanted_stamp > "$stamp"
    say "virtual environment made in $(elapsed "$start") s"
}
