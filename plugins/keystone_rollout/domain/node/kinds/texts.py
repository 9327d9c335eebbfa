"""The parts that all kinds of nodes have in common: the preset's class, and the shared steps.

A step is rendered for one release. Rolling back is the same text with the old release, and needs
neither the repository nor the network: `keep_current` and `stage` put both releases' packages and
configuration on the node while it still serves.

A command that sudo runs is written once, here or in its preset, with the program's absolute path:
the step and the preset's privileges hold the same text.
"""

from __future__ import annotations

from dataclasses import dataclass

STAGING = "keystone-rollout/{{ release }}"
"""Directory of one release's files, below the SSH user's home."""


@dataclass(frozen=True)
class Preset:
    """A kind of node: steps, the variables that they name (None: has to be given), and privileges.

    ``privileges`` are templates of the commands that the steps run through sudo, complete with all
    arguments. One that names a key of ``loops`` is rendered for each value of that key's variable.
    """

    variables: dict[str, str | None]
    steps: dict[str, str]
    privileges: tuple[str, ...]
    loops: dict[str, str]


FILES = {"file": "configuration_files"}

# /bin, not /usr/bin: these two are in both on every node, merged or not.
READ_FILE = "/bin/cat /etc/keystone/{{ file }}"
LIST_KEYS = "/bin/ls {{ key_repository }}"
HASH_KEY = "/usr/bin/sha256sum {{ key_repository }}/"
# From standard input, which the account itself opens: root follows no link that the account made.
WRITE_FILE = "/usr/bin/install -m 0640 -o root -g {{ group }} /dev/stdin /etc/keystone/{{ file }}"

SHARED_PRIVILEGES = (
    READ_FILE,
    WRITE_FILE,
    LIST_KEYS,
    *(HASH_KEY + "[0-9]" * digits for digits in (1, 2, 3)),
)

_EACH_FILE = "{% for file in configuration_files.split() %}\n"

# The SSH user has to read the files that root fetches later; sudo passes the tighter of two umasks
# on.
KEEP_CONFIGURATION = f"""\
set -e; umask 077; mkdir -p {STAGING}
{_EACH_FILE}\
if ! test -s {STAGING}/{{{{ file }}}}; then
  sudo -n {READ_FILE} > {STAGING}/{{{{ file }}}}.part
  mv {STAGING}/{{{{ file }}}}.part {STAGING}/{{{{ file }}}}
fi
{{% endfor %}}
umask 022
"""

CONFIGURE = f"""\
set -e
{_EACH_FILE}\
sudo -n {WRITE_FILE} < {STAGING}/{{{{ file }}}}
{{% endfor %}}
"""

# No pipe after a sudo: it would hide a refusal, and the fingerprints of nothing are all alike.
KEY_FINGERPRINT = f"""\
set -e
keys=$(sudo -n {LIST_KEYS})
test -n "$keys" || {{ echo "no key in {{{{ key_repository }}}}" >&2; exit 1; }}
sums=$(set -e; for key in $keys; do sudo -n {HASH_KEY}$key; done)
echo "$sums" | LC_ALL=C sort | sha256sum | cut -d' ' -f1
"""

# Only these two options: others of the section may hold a password.
REPORT_CACHE = """\
{% if "keystone.conf" in configuration_files.split() %}
set -e
text=$(sudo -n /bin/cat /etc/keystone/keystone.conf)
echo "[cache]"
printf '%s\\n' "$text" | sed -n '/^\\[cache\\]/,/^\\[/p' |
  grep -E '^(memcache_servers|expiration_time)[ =:]' || true
{% endif %}
"""

# This needs no privilege: a missing file is found before anything is stopped, not half-way.
CHECK_CONFIGURATION = f"""\
{_EACH_FILE}\
test -s {STAGING}/{{{{ file }}}} || echo "{STAGING}/{{{{ file }}}}"
{{% endfor %}}
"""

# Of process $pid: the boot's id, and when it started in ticks since boot. No date, so that no
# clock can be set between two looks at it.
PROCESS = (
    "$(cat /proc/sys/kernel/random/boot_id).$(sed 's/.*) //' /proc/$pid/stat | cut -d' ' -f20)"
)

# Rows that the database no longer has must not be served from a cache.
FLUSH_CACHE = """\
set -e
for each in {{ memcached }}; do
  timeout 10 bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0##*:}" && printf "flush_all\\r\\n" >&3 &&
    read -r answer <&3 && test "${answer%?}" = OK' "$each" ||
    { echo "memcached $each did not acknowledge flush_all" >&2; exit 1; }
done
"""


MEANINGS: dict[str, str] = {
    "package": "Debian package that holds Keystone; its version counts as the node's release",
    "package_version": "its version for a release",
    "architecture": "part of the package's file name: `amd64`, or `all`",
    "archive": "file in apt's cache that the release is installed from",
    "source_list": "file in which apt finds the package's repository; the account writes it",
    "repository": "where a release's packages come from: apt's source line, or the id of the "
    "yum or dnf repository",
    "service": "service that serves Keystone: stopped, and started again",
    "pid_file": "file with the process id of the running service",
    "configuration_files": "files of `/etc/keystone` that belong to the release, space-separated",
    "group": "group that may read them",
    "memcached": "caches of Keystone, `host:port` each, space-separated: emptied by a restore",
    "tool": "the package manager, with its path",
    "config_manager": "the program that switches repositories, with its path",
    "packages": "all packages that belong to Keystone and no other, space-separated; each is "
    "installed at exactly the release",
    "report_package": "package whose version counts as the node's release",
    "repositories": "ids of the repositories that are switched off first, space-separated",
}
