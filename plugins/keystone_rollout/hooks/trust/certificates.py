"""Open TLS as section `tls` of the cloud file says, and say why a certificate is refused.

The environment (SSL_CERT_FILE, REQUESTS_CA_BUNDLE) is ignored: a run trusts what its cloud file
says, for every client alike. Locust's process imports this module.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from keystone_rollout.domain.cloud.tls import HTTPS_PORT, Peer, Refusal, Tls, refusal
from keystone_rollout.hooks.files.project import PROJECT

OPEN_SECONDS = 10.0
SYSTEM_CA_FILES = (
    ssl.get_default_verify_paths().openssl_cafile,
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
)


class TrustError(RuntimeError):
    """A part of section `tls` that cannot be used, or an address that is not trusted."""


def peer_of(tls: Tls, url: str) -> Peer | None:
    """Return what is trusted at a URL; None for plain HTTP."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return None
    return tls.peer(parts.hostname or "", parts.port or HTTPS_PORT)


def ca_file(peer: Peer) -> str:
    """Return the path of the file with the CAs that are trusted; TrustError if there is none."""
    if peer.ca_file is not None:
        path = PROJECT / peer.ca_file
        if path.is_file():
            return str(path)
        raise TrustError(
            f"tls.ca_file of the cloud file is {peer.ca_file}, and there is no file {path}: "
            f"{peer.address} cannot be verified. Next: put the CA's certificate there (PEM)"
        )
    found = next((each for each in SYSTEM_CA_FILES if Path(each).is_file()), None)
    if found is None:
        raise TrustError(
            f"this machine has no list of CAs ({', '.join(SYSTEM_CA_FILES)}): {peer.address} "
            "cannot be verified. Next: install ca-certificates, or name tls.ca_file in the cloud "
            "file"
        )
    return found


def context(peer: Peer) -> ssl.SSLContext:
    """Return how TLS is spoken with an address; TrustError if the CAs cannot be read."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not peer.verified:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        return made
    path = ca_file(peer)
    try:
        made.load_verify_locations(cafile=path)
    except OSError as error:
        raise TrustError(
            f"no certificate can be read from {path} ({error}): {peer.address} cannot be "
            "verified. Next: put the CA's certificate there (PEM)"
        ) from error
    return made


def refused(peer: Peer) -> Refusal | None:
    """Return why the certificate of an HTTPS address is not trusted; None if it is.

    Opens a connection and sends nothing. OSError if nobody answers, or not in TLS.
    """
    try:
        with _opened(peer, context(peer)):
            return None
    except ssl.SSLCertVerificationError as error:
        return refusal(peer, error.verify_code, error.verify_message, _shown(peer))


def load_arguments(tls: Tls, url: str) -> dict[str, Any]:
    """Return the arguments with which geventhttpclient's pool speaks to a URL.

    Nothing for plain HTTP. TrustError, before any request is sent, if the certificate is refused.
    """
    peer = peer_of(tls, url)
    if peer is None:
        return {}
    _refuse_untrusted(peer)
    made = context(peer)
    return {
        "ssl_context_factory": lambda **_: made,
        "ssl_options": {"server_hostname": peer.name},
        "insecure": not peer.verified,
    }


def _refuse_untrusted(peer: Peer) -> None:
    try:
        found = refused(peer)
    except OSError:
        return  # nobody answers there: that is for the requests to find
    if found is not None:
        raise TrustError(str(found))


@contextmanager
def _opened(peer: Peer, how: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection((peer.host, peer.port), OPEN_SECONDS) as plain,
        how.wrap_socket(plain, server_hostname=peer.name) as opened,
    ):
        yield opened


def _shown(peer: Peer) -> str:
    """Describe the certificate that an address shows, whoever signed it."""
    try:
        with _opened(peer, context(Peer(peer.host, peer.port, peer.name, None, "to look"))) as seen:
            return describe(seen.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError) as error:
        return f"a certificate that cannot be read ({error})"


def describe(certificate: bytes) -> str:
    """Return in words whose a certificate is (DER), by whom, and until when."""
    read = x509.load_der_x509_certificate(certificate)
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        bears = ", ".join(str(each.value) for each in names) or "no name"
    except x509.ExtensionNotFound:
        bears = "no name"
    return (
        f"a certificate for {bears}, signed by {read.issuer.rfc4514_string()}, valid "
        f"{read.not_valid_before_utc:%Y-%m-%d} to {read.not_valid_after_utc:%Y-%m-%d}"
    )
