"""The package index and the CA bundle of this host, handed on to containers that build."""

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

from machine import engine, paths
from machine.errors import CommandError

BUNDLE_IN_CONTAINER = "/etc/ssl/certs/ca-certificates.crt"
BUNDLE_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


def copy_ca_bundle() -> None:
    """Copy the host's CA bundle to the place from which builds mount it."""
    candidates = [os.environ.get(name, "") for name in BUNDLE_VARIABLES]
    candidates += [BUNDLE_IN_CONTAINER, str(ssl.get_default_verify_paths().cafile or "")]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            shutil.copyfile(candidate, paths.CA_BUNDLE)
            return
    raise CommandError(
        "no CA bundle found on this host, read "
        + ", ".join(c for c in candidates if c)
        + "; install ca-certificates or set SSL_CERT_FILE"
    )


def index_environment() -> dict[str, str]:
    """Return the package index and proxies of this host as variables for a container."""
    environment = engine.host_environment()
    if "PIP_INDEX_URL" not in environment:
        configured = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        if configured:
            environment["PIP_INDEX_URL"] = configured
    return environment
