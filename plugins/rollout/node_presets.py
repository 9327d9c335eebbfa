"""Hold the commands of each kind of node: Debian packages, or RPM packages under httpd.

A step is rendered for one release. Going back is the same text with the old release, and needs
neither the repository nor the network: `keep_current` and `stage` put both releases' packages
and configuration on the node while it still serves.

`report_release` prints three words: installed version, when it was installed (epoch seconds), and
when the running service started (epoch seconds, or "stopped"). A process that is older than the
installation still runs the old release, whatever the package says.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Group a kind of node's steps and the variables they name (None: has to be given)."""

    variables: dict[str, str | None]
    steps: dict[str, str]


_STAGING = "keystone-rollout/{{ release }}"  # below the SSH user's home
_ETC = "/etc/keystone"

_KEEP_CONFIGURATION = f"""\
set -e; umask 077; mkdir -p {_STAGING}
for file in {{{{ configuration_files }}}}; do
  if ! test -s {_STAGING}/$file; then
    sudo -n cat {_ETC}/$file > {_STAGING}/$file.part; mv {_STAGING}/$file.part {_STAGING}/$file
  fi
done
umask 022
"""
# What the package tools fetch next has to stay readable for the globs of step install, which the
# SSH user's own shell expands; sudo hands the tighter of two umasks on.

_CONFIGURE = f"""\
set -e
for file in {{{{ configuration_files }}}}; do
  sudo -n install -m 0640 -o root -g {{{{ group }}}} {_STAGING}/$file {_ETC}/$file
done
"""

# Needs no privilege: going back is refused before anything is stopped, not half-way.
_CHECK_CONFIGURATION = f"""\
for file in {{{{ configuration_files }}}}; do
  test -s {_STAGING}/$file || echo "{_STAGING}/$file"
done
"""

# Rows that a database no longer has must not be served from a cache.
_FLUSH_CACHE = """\
set -e
for each in {{ memcached }}; do
  timeout 10 bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0##*:}" && printf "flush_all\\r\\n" >&3 &&
    read -r answer <&3 && test "${answer%?}" = OK' "$each" ||
    { echo "memcached $each did not acknowledge flush_all" >&2; exit 1; }
done
"""

# No pipe after a sudo: it would hide a refusal, and the fingerprints of nothing are all alike.
_KEY_FINGERPRINT = """\
set -e
keys=$(sudo -n ls {{ key_repository }})
test -n "$keys" || { echo "no key in {{ key_repository }}" >&2; exit 1; }
sums=$(set -e; for key in $keys; do sudo -n sha256sum {{ key_repository }}/$key; done)
echo "$sums" | LC_ALL=C sort | sha256sum | cut -d' ' -f1
"""

_APT_ONLY = "-o Dir::Etc::sourcelist={{ source_list }} -o Dir::Etc::sourceparts=-"
_APT_UPDATE = f"sudo -n apt-get update -q {_APT_ONLY} -o APT::Get::List-Cleanup=0"
_APT_INSTALL = "sudo -n apt-get install -q -y -o DPkg::Lock::Timeout=120"

APT = Preset(
    variables={
        "package": "keystone",
        "package_version": "{{ release }}-1",
        "archive": "/var/cache/apt/archives/{{ package }}_{{ package_version }}_*.deb",
        "source_list": "/etc/apt/sources.list.d/keystone.list",
        "repository": None,
        "service": "keystone",
        "pid_file": "/run/keystone/keystone.pid",
        "configuration_files": "keystone.conf",
        "group": "keystone",
        "memcached": "",
    },
    steps={
        "keep_current": _KEEP_CONFIGURATION
        + f"""\
if ! ls {{{{ archive }}}} >/dev/null 2>&1; then
  {_APT_UPDATE}
  {_APT_INSTALL} --reinstall --download-only {{{{ package }}}}={{{{ package_version }}}}
fi
""",
        "enable_repository": ("echo '{{ repository }}' | sudo -n tee {{ source_list }} >/dev/null"),
        "stage": f"""\
set -e
{_APT_UPDATE}
{_APT_INSTALL} --only-upgrade --download-only {{{{ package }}}}={{{{ package_version }}}}
""",
        "stop": "sudo -n service {{ service }} stop",
        "install": f"""\
set -e
sudo -n dpkg --configure -a
{_APT_INSTALL} --allow-downgrades --no-download -o Dpkg::Options::=--force-confold {{{{ archive }}}}
""",
        "configure": _CONFIGURE,
        "start": "sudo -n service {{ service }} start",
        "report_release": """\
version=$(dpkg-query -W -f='${Version}' {{ package }} | sed 's/^[0-9]*://; s/-[^-]*$//')
installed=$(stat -c %Z /var/lib/dpkg/info/{{ package }}.list)
pid=$(cat {{ pid_file }} 2>/dev/null)
if test -n "$pid" && test -d /proc/$pid; then started=$(stat -c %Y {{ pid_file }})
else started=stopped; fi
echo "$version $installed $started"
""",
        "key_fingerprint": _KEY_FINGERPRINT,
        "check_kept": _CHECK_CONFIGURATION
        + """\
ls {{ archive }} >/dev/null 2>&1 || echo "{{ archive }}"
""",
        "flush_cache": _FLUSH_CACHE,
        "check_privileges": """\
check() { sudo -n -l "$@" >/dev/null 2>&1 || echo "$*"; }
check apt-get install; check dpkg --configure -a; check tee {{ source_list }}
check service {{ service }} stop; check service {{ service }} start
check install; check cat /etc/keystone/keystone.conf
check ls {{ key_repository }}; check sha256sum {{ key_repository }}/0
""",
    },
)

_RPM_FOLDER = "/var/cache/keystone-rollout/{{ release }}"
_RPM_VERSIONED = "{{ packages.split() | join('-' ~ release ~ ' ') }}-{{ release }}"
# yum says "nothing to do" with exit status 0 where a release is in no enabled repository.
_RPM_FETCHED = f"""\
for each in {{{{ packages }}}}; do ls {_RPM_FOLDER}/$each-{{{{ release }}}}-*.rpm >/dev/null; done
"""
_RPM_FETCH = f"--downloadonly --downloaddir={_RPM_FOLDER}"

_RPM_VARIABLES: dict[str, str | None] = {
    "report_package": "openstack-keystone",
    "repository": "centos-openstack-{{ codename }}",
    "repositories": "centos-openstack-*",
    "service": "httpd",
    "configuration_files": "keystone.conf",
    "group": "keystone",
    "memcached": "",
}

_RPM_STEPS = {
    "keep_current": _KEEP_CONFIGURATION
    + f"""\
if ! test -e {_STAGING}/.packages-kept; then
  sudo -n {{{{ tool }}}} -q -y reinstall {_RPM_FETCH} {_RPM_VERSIONED}
  {_RPM_FETCHED}  touch {_STAGING}/.packages-kept
fi
""",
    "enable_repository": (
        "sudo -n {{ config_manager }} --disable '{{ repositories }}' >/dev/null && "
        "sudo -n {{ config_manager }} --enable '{{ repository }}' >/dev/null"
    ),
    "stage": f"""\
set -e
if rpm -q --quiet {_RPM_VERSIONED}; then echo "already installed"; exit 0; fi
sudo -n {{{{ tool }}}} -q -y upgrade {_RPM_FETCH} {_RPM_VERSIONED}
{_RPM_FETCHED}""",
    "stop": "sudo -n systemctl stop {{ service }}",
    "install": f"sudo -n rpm -U --oldpackage --replacepkgs {_RPM_FOLDER}/*.rpm",
    "configure": _CONFIGURE,
    "start": "sudo -n systemctl start {{ service }}",
    # The age of the main process, not ActiveEnterTimestamp: `--value` is not in CentOS 7's
    # systemd, and `date -d` misreads time zones such as CST.
    "report_release": """\
package=$(rpm -q --qf '%{VERSION} %{INSTALLTIME}' {{ report_package }})
pid=$(systemctl show -p MainPID {{ service }} | cut -d= -f2)
if systemctl is-active --quiet {{ service }} && age=$(ps -o etimes= -p "$pid")
then started=$(( $(date +%s) - age ))
else started=stopped; fi
echo "$package $started"
""",
    "key_fingerprint": _KEY_FINGERPRINT,
    "check_kept": _CHECK_CONFIGURATION
    + f"""\
for each in {{{{ packages }}}}; do
  ls {_RPM_FOLDER}/$each-{{{{ release }}}}-*.rpm >/dev/null 2>&1 || echo "{_RPM_FOLDER}/$each"
done
""",
    "flush_cache": _FLUSH_CACHE,
    "check_privileges": """\
check() { sudo -n -l "$@" >/dev/null 2>&1 || echo "$*"; }
check {{ tool }} -q -y upgrade x; check {{ tool }} -q -y reinstall x
check {{ config_manager }} --enable x; check {{ config_manager }} --disable x
check rpm -U --oldpackage --replacepkgs x
check systemctl stop {{ service }}; check systemctl start {{ service }}
check install; check cat /etc/keystone/keystone.conf
check ls {{ key_repository }}; check sha256sum {{ key_repository }}/0
""",
}

DNF = Preset(
    variables={
        "tool": "dnf",
        "config_manager": "dnf config-manager",
        "packages": "openstack-keystone python3-keystone",
        **_RPM_VARIABLES,
    },
    steps=_RPM_STEPS,
)

YUM = Preset(
    variables={
        "tool": "yum",
        "config_manager": "yum-config-manager",
        "packages": "openstack-keystone python-keystone",
        **_RPM_VARIABLES,
    },
    steps=_RPM_STEPS,
)

PRESETS = {"apt": APT, "dnf": DNF, "yum": YUM}
