"""The commands of a node with Debian packages."""

from __future__ import annotations

from keystone_rollout.domain.node.kinds.texts import (
    CHECK_CONFIGURATION,
    CONFIGURE,
    FILES,
    FLUSH_CACHE,
    KEEP_CONFIGURATION,
    KEY_FINGERPRINT,
    PROCESS,
    REPORT_CACHE,
    SHARED_PRIVILEGES,
    Preset,
)

_UPDATE = (
    "/usr/bin/apt-get update -q -o Dir::Etc::sourcelist={{ source_list }} "
    "-o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0"
)
_LOCK_SECONDS = 120
"""For another process, such as unattended upgrades, to end its work on the packages."""

_APT = f"/usr/bin/apt-get install -q -y -o DPkg::Lock::Timeout={_LOCK_SECONDS}"
_VERSIONED = "{{ package }}={{ package_version }}"
_FETCH_PRESENT = f"{_APT} --reinstall --download-only {_VERSIONED}"
_FETCH = f"{_APT} --only-upgrade --download-only {_VERSIONED}"
_FINISH = "/usr/bin/dpkg --configure -a"
_INSTALL = (
    f"{_APT} --allow-downgrades --no-download -o Dpkg::Options::=--force-confold {{{{ archive }}}}"
)
_WRITE_SOURCE = "/usr/bin/tee {{ source_list }}"
_STOP = "/usr/sbin/service {{ service }} stop"
_START = "/usr/sbin/service {{ service }} start"

APT = Preset(
    variables={
        "package": "keystone",
        "package_version": "{{ release }}{{ '' if revision else '-1' }}",
        "architecture": "amd64",
        "archive": "/var/cache/apt/archives/"
        "{{ package }}_{{ package_version | replace(':', '%3a') }}_{{ architecture }}.deb",
        "source_list": "/etc/apt/sources.list.d/keystone.list",
        "repository": None,
        "service": "keystone",
        "pid_file": "/run/keystone/keystone.pid",
        "configuration_files": "keystone.conf",
        "group": "keystone",
        "memcached": "",
    },
    steps={
        "keep_current": KEEP_CONFIGURATION
        + f"""\
if ! test -e {{{{ archive }}}}; then
  sudo -n {_UPDATE}
  sudo -n {_FETCH_PRESENT}
fi
""",
        "enable_repository": f"echo '{{{{ repository }}}}' | sudo -n {_WRITE_SOURCE} >/dev/null",
        "stage": f"""\
set -e
sudo -n {_UPDATE}
sudo -n {_FETCH}
""",
        "stop": f"sudo -n {_STOP}",
        # apt waits for another process's lock by itself; dpkg gives up at once, with exit status 2.
        "install": f"""\
for left in $(seq {_LOCK_SECONDS} -1 0); do
  status=0; sudo -n {_FINISH} || status=$?
  if test $status != 2 || test $left = 0; then break; fi
  sleep 1
done
test $status = 0 || exit $status
sudo -n {_INSTALL}
""",
        "configure": CONFIGURE,
        "start": f"sudo -n {_START}",
        "report_release": """\
package=$(dpkg-query -W -f='${Version}' {{ package }})
version=$(echo "$package" | sed 's/^[0-9]*://; s/-[^-]*$//')
installed=$(stat -c %Z.%i /var/lib/dpkg/info/{{ package }}.list)-$package
pid=$(cat {{ pid_file }} 2>/dev/null)
if test -n "$pid" && test -d /proc/$pid; then
"""
        + f'  started="$(stat -c %Y {{{{ pid_file }}}}) {PROCESS} $(date +%s)"\n'
        + """\
else started=stopped; fi
echo "$version $installed $started"
""",
        "key_fingerprint": KEY_FINGERPRINT,
        "report_cache": REPORT_CACHE,
        "check_kept": CHECK_CONFIGURATION + 'test -s {{ archive }} || echo "{{ archive }}"',
        "flush_cache": FLUSH_CACHE,
    },
    privileges=(
        _UPDATE,
        _FETCH_PRESENT,
        _FETCH,
        _FINISH,
        _INSTALL,
        _WRITE_SOURCE,
        _STOP,
        _START,
        *SHARED_PRIVILEGES,
    ),
    loops=FILES,
)
