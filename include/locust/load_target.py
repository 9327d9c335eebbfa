"""Decide where the load may go, before it sends anything."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


class TargetRefused(ValueError):
    """An address to which the load does not go, and why."""


def check_target(auth_url: str, host_option: str | None, allowed_host: str | None) -> None:
    """Refuse any target but a loopback address, or the one host that was allowed by name.

    A load generator pointed at the wrong cloud is an attack on it. ``host_option`` is Locust's
    ``--host``; it stands in Locust's report, so it has to be where the requests really go.
    """
    url = urlsplit(auth_url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise TargetRefused(f"OS_AUTH_URL is {auth_url!r}, needed is http(s)://host:port/v3")
    if url.username or url.password:
        raise TargetRefused("OS_AUTH_URL holds a user name or password: they belong into OS_*")
    if host_option and urlsplit(host_option)[:2] != url[:2]:
        raise TargetRefused(
            f"--host is {host_option!r} but OS_AUTH_URL goes to {url.scheme}://{url.netloc}: "
            "both have to name the same address"
        )
    if _is_loopback(url.hostname) or url.hostname == allowed_host:
        return
    raise TargetRefused(
        f"the load does not go to {url.hostname!r}: allowed are loopback addresses"
        + (f" and {allowed_host!r}" if allowed_host else "")
        + ". To load that host on purpose, name it as load.allow_host in the cloud file "
        "(LOAD_ALLOW_HOST)"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
