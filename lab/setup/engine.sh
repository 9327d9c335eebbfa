# A Docker engine that answers, started if there is none.

run=${LAB_RUN_DIRECTORY:-/var/run}

engine_answers() { command -v docker > /dev/null && docker version > /dev/null 2>&1; }

# alive FILE NAME: whether the pid in FILE is a running process called NAME.
alive() {
    local pid
    pid=$(cat "$1" 2> /dev/null) || return 1
    [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = "$2" ]
}

# A crash leaves pid files whose number may by now belong to anything; dockerd believes them and
# refuses to start. They go only when no engine lives behind them.
remove_stale_files() {
    local file
    if [ -e "$run/docker.pid" ] && ! alive "$run/docker.pid" dockerd; then
        say "removing $run/docker.pid, whose process is no dockerd"
        rm -f "$run/docker.pid"
    fi
    if [ ! -e "$run/docker.pid" ] && [ -S "$run/docker.sock" ]; then
        say "removing $run/docker.sock, which nothing listens on"
        rm -f "$run/docker.sock"
    fi
    for file in "$run/docker/containerd/containerd.pid" "$run/docker/containerd/docker-containerd.pid"; do
        if [ -e "$file" ] && ! alive "$file" containerd && ! alive "$file" docker-containerd; then
            say "removing $file, whose process is no containerd"
            rm -f "$file"
        fi
    done
}

start_engine() {
    if [ -d /run/systemd/system ]; then
        systemctl start docker
        return
    fi
    if command -v cgroupfs-mount > /dev/null && ! mountpoint -q /sys/fs/cgroup; then
        cgroupfs-mount
    fi
    # A session of its own, so that it outlives make and the terminal. Not `service docker start`:
    # containers and build hosts forbid that by policy-rc.d.
    setsid dockerd > "$log/dockerd.log" 2>&1 < /dev/null &
    echo $! > "$state/started-dockerd"
    disown
}

ensure_engine() {
    if engine_answers; then return; fi
    if [ "$(id -u)" != 0 ]; then
        fail "no Docker engine answers this user: $(docker version 2>&1 | tail -n 1)." \
            "Start it as root, or add this user to the group docker, and run this again."
    fi
    command -v dockerd > /dev/null ||
        fail "no Docker engine answers, and there is no dockerd to start; check DOCKER_HOST"
    say "no Docker engine answers, starting one"
    local start=${EPOCHREALTIME/./} tries=0
    remove_stale_files
    start_engine
    until engine_answers; do
        tries=$((tries + 1))
        if [ $tries -gt 150 ]; then
            tail -n 5 "$log/dockerd.log" >&2 || true
            fail "dockerd does not answer after 30 s, log $log/dockerd.log"
        fi
        sleep 0.2
    done
    say "Docker engine answers after $(elapsed "$start") s"
}
