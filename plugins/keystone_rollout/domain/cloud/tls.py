"""Decide whom a TLS connection trusts: the only place that does, for every client alike.

Whether an address speaks TLS is said by its URL; for a database by `tls.addresses`, or by the extra
of its Airflow connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    field_validator,
    model_validator,
)

from keystone_rollout.domain.section import Section

HTTPS_PORT = 443
_ADDRESS = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([1-9][0-9]{0,4}))?")

NO_REASON = (
    "read `verify: false` without a reason; allowed is `because` beside it, with the reason why "
    "nobody has to know who answers there. Plan, approval and report repeat it"
)
REASON_FOR_NOTHING = (
    "read a reason (`because`), and the certificate is verified; allowed is a reason beside "
    "`verify: false` only"
)
NAME_FOR_NOTHING = (
    "read a `name` beside `verify: false`, with which nothing is ever compared; allowed is one of "
    "the two"
)


def canonical_address(text: str) -> str:
    """Return an address as host:port in small letters; ValueError says what was read instead."""
    match = _ADDRESS.fullmatch(text.lower())
    if match is None or int(match[2] or HTTPS_PORT) > 65535:
        raise ValueError(
            f"read {text!r}; allowed is host:port as in the URL or the connection, such as "
            f"192.0.2.21:5000, db.example.org:3306 or [2001:db8::1]:5000; without a port it is "
            f"{HTTPS_PORT}"
        )
    return f"{match[1]}:{match[2] or HTTPS_PORT}"


class TrustedAddress(Section):
    """The certificate that one address has to show."""

    name: str | None = Field(
        None,
        min_length=1,
        description="host name that the certificate has to bear; by default the address's own "
        "host. Not for a database, whose clients compare the host only",
    )
    verify: StrictBool = Field(
        True, description="false: whoever answers there is believed; takes `because`"
    )
    because: str | None = Field(
        None, description="why it is not verified; plan, approval and report repeat it"
    )

    @model_validator(mode="after")
    def _reasoned(self) -> TrustedAddress:
        if not self.verify and not (self.because or "").strip():
            raise ValueError(NO_REASON)
        if self.verify and self.because is not None:
            raise ValueError(REASON_FOR_NOTHING)
        if not self.verify and self.name is not None:
            raise ValueError(NAME_FOR_NOTHING)
        return self


@dataclass(frozen=True)
class Peer:
    """One address as TLS sees it: the name to expect, and the reason if nothing is verified."""

    host: str
    port: int
    name: str
    ca_file: str | None
    because: str | None = None

    @property
    def verified(self) -> bool:
        """Tell whether its certificate has to convince."""
        return self.because is None

    @property
    def address(self) -> str:
        """Return host:port, as `tls.addresses` names it."""
        return _joined(self.host, self.port)

    @property
    def authorities(self) -> str:
        """Return in words whose signature is believed."""
        return self.ca_file or "this machine's own list of CAs"

    @property
    def allowed(self) -> str:
        """Return in words what its certificate has to show."""
        return f"a certificate for {self.name}, valid today, signed by a CA of {self.authorities}"

    @property
    def exception(self) -> str:
        """Return in words that nothing is verified, and why."""
        return f"the certificate of {self.address} is not verified, because: {self.because}"


class Tls(Section):
    """The trusted certificates. Plain HTTP needs none."""

    ca_file: str | None = Field(
        None,
        min_length=1,
        description="file with the certificates of the CAs that are trusted, PEM; by default this "
        "machine's own list. A relative path counts from the project's folder",
    )
    addresses: dict[Annotated[str, AfterValidator(canonical_address)], TrustedAddress] = Field(
        {},
        description="what differs, by host:port. A database that is named here is spoken to "
        "with TLS only",
    )

    @field_validator("addresses", mode="before")
    @classmethod
    def _once(cls, value: object) -> object:
        seen: dict[str, str] = {}
        for text in value if isinstance(value, Mapping) else ():
            try:
                address = canonical_address(text)
            except (ValueError, AttributeError, TypeError):
                continue  # has a finding of its own
            if address in seen:
                raise ValueError(
                    f"read {seen[address]!r} and {text!r}, which are one address; allowed is one "
                    "entry for it"
                )
            seen[address] = text
        return value

    def peer(self, host: str, port: int) -> Peer:
        """Return what is trusted at an address that speaks TLS."""
        host = host.lower()
        named = self.addresses.get(_joined(host, port), TrustedAddress())
        return Peer(host, port, named.name or host, self.ca_file, named.because)

    def names(self, host: str, port: int) -> bool:
        """Tell whether an address is named."""
        return _joined(host.lower(), port) in self.addresses

    def exceptions(self) -> list[str]:
        """Return a sentence for each address that is not verified, with the reason."""
        return [
            Peer(*_parted(address), "", self.ca_file, each.because).exception
            for address, each in self.addresses.items()
            if not each.verify
        ]


SYSTEM_TRUST = Tls()
"""What holds without a cloud file: this machine's own CAs, everything verified."""


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parted(address: str) -> tuple[str, int]:
    host, _colon, port = address.rpartition(":")
    return host.strip("[]"), int(port)


@dataclass(frozen=True)
class Refusal:
    """Why a certificate is not trusted: what was read at which address, and what to do."""

    peer: Peer
    read: str
    next_step: str

    def __str__(self) -> str:
        """Return it as one sentence after the other."""
        return (
            f"{self.peer.address} is not trusted: read {self.read}. Allowed: {self.peer.allowed}. "
            f"Nothing was sent. Next: {self.next_step}"
        )


UNTRUSTED, EXPIRED, WRONG_NAME = {2, 18, 19, 20, 21}, {9, 10}, {62, 64}
"""OpenSSL's codes of a verification that failed, X509_V_ERR_…"""


def refusal(peer: Peer, code: int, reason: str, certificate: str) -> Refusal:
    """Return why OpenSSL refused a certificate, which ``certificate`` describes."""
    if code in WRONG_NAME:
        step = (
            f"if {peer.address} is the right machine, name what its certificate bears as `name` "
            f'of tls.addresses."{peer.address}" in the cloud file'
        )
    elif code in EXPIRED:
        step = f"renew the certificate of {peer.address}, or set this machine's clock"
    elif code in UNTRUSTED:
        step = "name the file of the CA that signed it as tls.ca_file in the cloud file"
    else:
        step = f"repair the certificate of {peer.address}"
    return Refusal(peer, f"{certificate} ({reason})", step)


def database_refusal(peer: Peer, reason: str) -> Refusal:
    """Return why a database's client did not trust it, as the client says it."""
    return Refusal(
        peer,
        reason,
        "name its CA as tls.ca_file in the cloud file, and as the connection's host a name that "
        "its certificate bears",
    )
