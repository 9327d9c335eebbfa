"""Say what each variable of the presets means; a name means the same in all of them."""

from __future__ import annotations

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
