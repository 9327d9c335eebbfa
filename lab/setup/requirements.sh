# Which Debian packages are missing, and installing those.

packages="python3-venv python3-dev gcc pkg-config default-libmysqlclient-dev openssh-client
    ca-certificates debootstrap procps iproute2"
missing=""

is_debian() {
    . /etc/os-release 2> /dev/null || return 1
    case " ${ID:-} ${ID_LIKE:-} " in *" debian "* | *" ubuntu "*) return 0 ;; *) return 1 ;; esac
}

find_missing() {
    # Warm: with the environment and the images in place nothing here is needed any more.
    if environment_is_current && engine_answers && base_images_exist && has_compose &&
        has_browser; then return; fi
    local wanted=$packages installed package
    if is_debian && command -v dpkg-query > /dev/null; then
        if is_ubuntu; then wanted="$wanted debian-archive-keyring"; fi
        installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2> /dev/null |
            awk '$1 == "installed" {print $2}' || true)
        for package in $wanted; do
            if ! grep -qx "$package" <<< "$installed"; then missing="$missing $package"; fi
        done
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
    # Its fonts are only recommended, and without them pictures differ from machine to machine.
    if ! has_browser; then missing="$missing chromium fonts-liberation"; fi
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

is_ubuntu() { grep -qi ubuntu /etc/os-release 2> /dev/null; }

install_missing() {
    missing=${missing# }
    if [ -z "$missing" ]; then return; fi
    if ! is_debian; then
        fail "this host lacks (Debian's names): $missing. Install them with the host's own" \
            "package manager and run this again; only Debian and Ubuntu are installed to."
    fi
    if [ "$(id -u)" != 0 ]; then
        fail "these Debian packages are missing: $missing. Install them as root with" \
            "'apt-get install $missing', let this user reach the Docker engine, and run this again."
    fi
    say "missing Debian packages, installing now: $missing"
    local start=${EPOCHREALTIME/./}
    (
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q && apt-get install -q -y --no-install-recommends $missing
    ) > "$log/apt.log" 2>&1 &
    follow $! "apt-get" last_line "$log/apt.log" || {
        tail -n 5 "$log/apt.log" >&2
        fail "apt-get failed, log $log/apt.log"
    }
    echo "$missing" >> "$state/installed-packages"
    say "Debian packages installed in $(elapsed "$start") s (make clean leaves them)"
}
