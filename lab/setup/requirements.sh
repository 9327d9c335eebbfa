# Which Debian packages each part of the set-up lacks, and installing those.

# Python, and what pip compiles mysqlclient with.
environment_packages="python3-venv python3-dev gcc pkg-config default-libmysqlclient-dev
    ca-certificates"
lab_packages="debootstrap openssh-client procps iproute2"
missing=""

is_debian() {
    . /etc/os-release 2> /dev/null || return 1
    case " ${ID:-} ${ID_LIKE:-} " in *" debian "* | *" ubuntu "*) return 0 ;; *) return 1 ;; esac
}

is_ubuntu() { grep -qi ubuntu /etc/os-release 2> /dev/null; }

# find_missing PART: what is made already needs no longer what it was made with.
find_missing() {
    if ! environment_is_current; then find_packages $environment_packages; fi
    if [ "$1" != environment ]; then find_missing_for_lab; fi
    # Its fonts are only recommended, and without them pictures differ from machine to machine.
    if [ "$1" = tests ] && ! has_browser; then missing="$missing chromium fonts-liberation"; fi
    if [ "$1" = tests ] && ! has_sshd; then missing="$missing openssh-server"; fi
    if [ "$1" = tests ] && ! command -v socat > /dev/null; then missing="$missing socat"; fi
}

find_missing_for_lab() {
    if ! base_images_exist; then
        find_packages $lab_packages
        if is_ubuntu; then find_packages debian-archive-keyring; fi
    fi
    # A client or a Compose from elsewhere is as good as Debian's.
    if ! command -v mariadb-dump > /dev/null && ! command -v mysqldump > /dev/null; then
        missing="$missing mariadb-client"
    fi
    if ! engine_answers && ! command -v dockerd > /dev/null; then
        missing="$missing docker.io"
        # Without systemd nothing else may have mounted the control groups.
        if ! mountpoint -q /sys/fs/cgroup 2> /dev/null; then missing="$missing cgroupfs-mount"; fi
    fi
    if ! command -v docker > /dev/null && [[ $missing != *docker.io* ]]; then
        missing="$missing docker.io"
    fi
    if ! has_compose; then missing="$missing docker-compose"; fi
}

# find_packages NAME...: those of them that Debian's package manager does not know as installed.
find_packages() {
    local installed package
    if ! is_debian || ! command -v dpkg-query > /dev/null; then return; fi
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2> /dev/null |
        awk '$1 == "installed" {print $2}' || true)
    for package in "$@"; do
        if ! grep -qx "$package" <<< "$installed"; then missing="$missing $package"; fi
    done
}

has_compose() {
    command -v docker-compose > /dev/null || docker compose version > /dev/null 2>&1
}

# Tests look at pages with it. Ubuntu has Chromium as a snap alone, which neither root's containers
# nor build hosts run: there the tests say what they lack.
has_browser() {
    command -v chromium > /dev/null || command -v chromium-browser > /dev/null ||
        command -v google-chrome > /dev/null || is_ubuntu
}

# Not on the path of everybody.
has_sshd() { command -v sshd > /dev/null || [ -x /usr/sbin/sshd ]; }

# keep_sshd_down POLICY: a test starts a server of its own on 127.0.0.1. The machine's would listen
# on every address, and nobody has asked for that. POLICY is asked by Debian before each start.
keep_sshd_down() {
    if [ -e "$1" ]; then return; fi
    printf '#!/bin/sh\ncase $1 in ssh*) exit 101 ;; esac\n' > "$1"
    chmod 755 "$1"
    trap "rm -f '$1'" EXIT
}

install_missing() {
    missing=${missing# }
    if [ -z "$missing" ]; then return; fi
    if ! is_debian; then
        fail "this host lacks (Debian's names): $missing. Install them with the host's own" \
            "package manager and run this again; only Debian and Ubuntu are installed to."
    fi
    if [ "$(id -u)" != 0 ]; then
        local engine=""
        if [[ $missing == *docker.io* ]]; then engine=", let this user reach the Docker engine"; fi
        fail "these Debian packages are missing: $missing. Install them as root with" \
            "'apt-get install $missing'$engine, and run this again."
    fi
    say "missing Debian packages, installing now: $missing"
    local start=${EPOCHREALTIME/./}
    (
        export DEBIAN_FRONTEND=noninteractive
        if [[ $missing == *openssh-server* ]]; then keep_sshd_down /usr/sbin/policy-rc.d; fi
        apt-get update -q && apt-get install -q -y --no-install-recommends $missing || exit
        if [[ $missing == *openssh-server* ]] && command -v systemctl > /dev/null; then
            systemctl disable ssh.service ssh.socket || true  # the next boot would start it
        fi
    ) > "$log/apt.log" 2>&1 &
    follow $! "apt-get" last_line "$log/apt.log" || {
        tail -n 5 "$log/apt.log" >&2
        fail "apt-get failed, log $log/apt.log"
    }
    echo "$missing" >> "$state/installed-packages"
    say "Debian packages installed in $(elapsed "$start") s (make clean leaves them)"
}
