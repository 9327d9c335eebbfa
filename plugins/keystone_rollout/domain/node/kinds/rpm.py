"""The commands of a node with RPM packages under httpd: with dnf, and with yum."""

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
    STAGING,
    Preset,
)

_FOLDER = "/var/cache/keystone-rollout/{{ release }}"
_VERSIONED = "{{ packages.split() | join('-' ~ release ~ ' ') }}-{{ release }}"
# yum says "nothing to do" with exit status 0 if no enabled repository has the release.
_FETCHED = f"""\
for each in {{{{ packages }}}}; do ls {_FOLDER}/$each-{{{{ release }}}}-*.rpm >/dev/null; done
"""
_TO_FOLDER = f"--downloadonly --downloaddir={_FOLDER}"

_FETCH_PRESENT = f"{{{{ tool }}}} -q -y reinstall {_TO_FOLDER} {_VERSIONED}"
_FETCH = f"{{{{ tool }}}} -q -y upgrade {_TO_FOLDER} {_VERSIONED}"
_DISABLE = "{{ config_manager }} --disable {{ disabled }}"
_ENABLE = "{{ config_manager }} --enable {{ repository }}"
# The one star in a command: rpm itself expands it. A package's file name ends in a revision that
# nobody knows beforehand, and which may differ from package to package. Sudoers takes it as a plain
# star, so only this one folder is allowed, which only root can write to.
_INSTALL = rf"/usr/bin/rpm -U --oldpackage --replacepkgs {_FOLDER}/\*.rpm"
_STOP = "/usr/bin/systemctl stop {{ service }}"
_START = "/usr/bin/systemctl start {{ service }}"

_VARIABLES: dict[str, str | None] = {
    "report_package": "openstack-keystone",
    "repository": "centos-openstack-{{ release_name }}",
    "repositories": "centos-openstack-{{ source_release_name }} "
    "centos-openstack-{{ target_release_name }}",
    "service": "httpd",
    "configuration_files": "keystone.conf",
    "group": "keystone",
    "memcached": "",
}

_STEPS = {
    "keep_current": KEEP_CONFIGURATION
    + f"""\
if ! test -e {STAGING}/.packages-kept; then
  sudo -n {_FETCH_PRESENT}
  {_FETCHED}  touch {STAGING}/.packages-kept
fi
""",
    "enable_repository": f"""\
set -e
{{% for disabled in repositories.split() %}}
sudo -n {_DISABLE} >/dev/null
{{% endfor %}}
sudo -n {_ENABLE} >/dev/null
""",
    "stage": f"""\
set -e
if rpm -q --quiet {_VERSIONED}; then echo "already installed"; exit 0; fi
sudo -n {_FETCH}
{_FETCHED}""",
    "stop": f"sudo -n {_STOP}",
    "install": f"sudo -n {_INSTALL}",
    "configure": CONFIGURE,
    "start": f"sudo -n {_START}",
    # The age of the main process, not ActiveEnterTimestamp: `--value` is not in CentOS 7's
    # systemd, and `date -d` misreads time zones such as CST.
    "report_release": """\
package=$(rpm -q --qf '%{VERSION} %{INSTALLTIME}' {{ report_package }})
all=$(rpm -q --qf '%{VERSION}-%{RELEASE} %{INSTALLTIME} ' {{ packages }} | cksum | cut -d' ' -f1)
pid=$(systemctl show -p MainPID {{ service }} | cut -d= -f2)
if systemctl is-active --quiet {{ service }} && age=$(ps -o etimes= -p "$pid")
then
  now=$(date +%s)
"""
    + f'  started="$(( now - age )) {PROCESS} $now"\n'
    + """\
else started=stopped; fi
echo "$package.$all $started"
""",
    "key_fingerprint": KEY_FINGERPRINT,
    "report_cache": REPORT_CACHE,
    "check_kept": CHECK_CONFIGURATION
    + f"""\
for each in {{{{ packages }}}}; do
  ls {_FOLDER}/$each-{{{{ release }}}}-*.rpm >/dev/null 2>&1 || echo "{_FOLDER}/$each"
done
""",
    "flush_cache": FLUSH_CACHE,
}

_PRIVILEGES = (
    _FETCH_PRESENT,
    _FETCH,
    _DISABLE,
    _ENABLE,
    _INSTALL,
    _STOP,
    _START,
    *SHARED_PRIVILEGES,
)

DNF = Preset(
    variables={
        "tool": "/usr/bin/dnf",
        "config_manager": "/usr/bin/dnf config-manager",
        "packages": "openstack-keystone python3-keystone",
        **_VARIABLES,
    },
    steps=_STEPS,
    privileges=_PRIVILEGES,
    loops={**FILES, "disabled": "repositories"},
)

YUM = Preset(
    variables={
        "tool": "/usr/bin/yum",
        "config_manager": "/usr/bin/yum-config-manager",
        "packages": "openstack-keystone python-keystone",
        **_VARIABLES,
    },
    steps=_STEPS,
    privileges=_PRIVILEGES,
    loops={**FILES, "disabled": "repositories"},
)
