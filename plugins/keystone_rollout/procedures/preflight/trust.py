"""Check that every certificate convinces, before a password is sent to anybody."""

from __future__ import annotations

from collections.abc import Collection

from airflow.sdk import BaseHook

from keystone_rollout.domain.cloud.tls import Peer
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.trust.certificates import TrustError, peer_of
from keystone_rollout.hooks.trust.databases import database_address
from keystone_rollout.procedures.preflight.finding import finding
from keystone_rollout.procedures.run.run import RolloutRun


class TrustChecks:
    """The questions of section `tls`; a cloud of plain HTTP without that section has none."""

    def __init__(self, run: RolloutRun) -> None:
        self.of = run
        self.cloud = run.cloud

    def run(self, left_out: Collection[str] = ()) -> list[Verdict]:
        """Return all findings; a node whose server is left out may be down, and is not asked."""
        api = BaseHook.get_connection(self.cloud.api.connection).host or ""
        up = [node.url for node in self.cloud.nodes if node.server not in left_out]
        found = [self._certificate(peer) for peer in self._peers([api, *up])]
        if self.cloud.tls.addresses:
            found += self._addresses(self._peers([api, *(node.url for node in self.cloud.nodes)]))
        return found

    def _peers(self, urls: list[str]) -> list[Peer]:
        peers = (peer_of(self.cloud.tls, url) for url in urls)
        return list(dict.fromkeys(peer for peer in peers if peer is not None))

    def _certificate(self, peer: Peer) -> Verdict:
        check, address = "certificate", peer.address
        if not peer.verified:
            return finding(True, check, address, f"not verified, because: {peer.because}",
                           "trusted, or a reason in the cloud file", "")  # fmt: skip
        try:
            found = self.of.keystone.refused(peer)
        except (OSError, TrustError) as error:
            return finding(False, check, address, str(error), peer.allowed,
                           "correct its URL or tls.ca_file, or repair it")  # fmt: skip
        if found is None:
            return finding(True, check, address, "trusted", peer.allowed, "")
        return finding(False, check, address, found.read, peer.allowed, found.next_step)

    def _addresses(self, https: list[Peer]) -> list[Verdict]:
        """Return whether something connects to each address that section `tls` names.

        A database whose address is mistyped there would be spoken to without TLS.
        """
        names = self.cloud.databases
        databases = (names.reader, names.keystone, names.administrator)
        used = {peer.address for peer in https}
        used |= {database_address(BaseHook.get_connection(name)) for name in databases}
        return [
            finding(address in used, "tls address", address,
                    "in use" if address in used else "nothing connects to it",
                    f"one of {', '.join(sorted(used))}",
                    "correct it in tls.addresses of the cloud file, or remove it there")
            for address in self.cloud.tls.addresses
        ]  # fmt: skip
