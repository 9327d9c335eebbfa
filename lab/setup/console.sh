# Lines with elapsed time, and a tick while something long runs.

elapsed() {  # seconds since the command began, or since $1 (microseconds)
    local us=$((${EPOCHREALTIME/./} - ${1:-$begin}))
    printf '%d.%d' $((us / 1000000)) $((us % 1000000 / 100000))
}

say() { printf '[%5s s] %s\n' "$(elapsed)" "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# follow PID TITLE COMMAND: until PID ends, show what COMMAND prints: each second on a terminal,
# every ten seconds elsewhere. Returns the exit code of PID.
follow() {
    local pid=$1 title=$2 seconds=0
    shift 2
    while kill -0 "$pid" 2> /dev/null; do
        if [ -t 1 ]; then
            printf '\r\033[K[%5s s] %s: %s' "$(elapsed)" "$title" "$("$@")"
        elif [ $((seconds % 10)) = 9 ]; then
            say "$title: $("$@")"
        fi
        sleep 1
        seconds=$((seconds + 1))
    done
    if [ -t 1 ]; then printf '\r\033[K'; fi
    wait "$pid"
}

last_line() { tail -n 1 "$1" 2> /dev/null | cut -c 1-70; }
