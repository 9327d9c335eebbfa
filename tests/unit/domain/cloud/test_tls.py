"""Section `tls` says whom an address trusts, and refuses what would say nothing or too much."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.cloud.tls import (
    SYSTEM_TRUST,
    Peer,
    Tls,
    TrustedAddress,
    canonical_address,
    refusal,
)
from keystone_rollout.hooks.files.cloud_file import CLOUDS, parse_cloud
from tests.stand_ins.cloud_text import GOOD, findings

OLD = "{verify: false, because: an old appliance}"


def section(text: str) -> str:
    return f"{GOOD}tls:\n  addresses:\n    {text}\n"


LINE = GOOD.count("\n") + 3
WHERE = f"small.yaml:{LINE}: tls.addresses."


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("db:3306: {verify: false}",
         f"{WHERE}db:3306: read `verify: false` without a reason; allowed is `because` beside it, "
         "with the reason why nobody has to know who answers there. Plan, approval and report "
         "repeat it"),
        ("db:3306: {verify: false, because: '  '}", f"{WHERE}db:3306: read `verify: false` "),
        ("db:3306: {because: old}",
         f"{WHERE}db:3306: read a reason (`because`), and the certificate is verified; allowed is "
         "a reason beside `verify: false` only"),
        ("db:3306: {verify: false, because: old, name: db.example.org}",
         f"{WHERE}db:3306: read a `name` beside `verify: false`, with which nothing is ever "
         "compared; allowed is one of the two"),
        ("db:3306: {verify: 'no', because: old}", f"{WHERE}db:3306.verify: "),
        ("db:3306: {verfy: false}",
         f"{WHERE}db:3306.verfy: read unknown key 'verfy'; allowed: because, name, verify"),
        ("https://db:3306/: {}",
         f"{WHERE}https://db:3306/.[key]: read 'https://db:3306/'; allowed is host:port as in the "
         "URL or the connection, such as 192.0.2.21:5000, db.example.org:3306 or "
         "[2001:db8::1]:5000; without a port it is 443"),
        ("db:70000: {}", f"{WHERE}db:70000.[key]: read 'db:70000'; allowed is host:port"),
        ("2001:db8::1: {}", f"{WHERE}2001:db8::1.[key]: read '2001:db8::1'; allowed is host:port"),
    ],
)  # fmt: skip
def test_a_wrong_address_is_a_finding_with_its_line(text: str, finding: str) -> None:
    found = findings(section(text))
    assert len(found) == 1
    assert found[0].startswith(finding)


def test_one_address_under_two_names_is_a_finding() -> None:
    found = findings(section(f"DB: {{name: a}}\n    'db:443': {OLD}"))
    assert found == [
        f"small.yaml:{LINE - 1}: tls.addresses: read 'DB' and 'db:443', which are one address; "
        "allowed is one entry for it"
    ]


def test_an_unknown_key_of_the_section_is_a_finding() -> None:
    assert findings(f"{GOOD}tls: {{verify: false}}\n") == [
        f"small.yaml:{LINE - 2}: tls.verify: read unknown key 'verify'; allowed: addresses, ca_file"
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("keystone.example.org", "keystone.example.org:443"),
        ("Keystone.Example.org:5000", "keystone.example.org:5000"),
        ("192.0.2.21:5000", "192.0.2.21:5000"),
        ("[2001:DB8::1]", "[2001:db8::1]:443"),
    ],
)
def test_an_address_is_written_in_one_way(text: str, address: str) -> None:
    assert canonical_address(text) == address


def test_what_is_said_of_an_address_holds_for_it_alone() -> None:
    tls = parse_cloud(section(f"192.0.2.21:5000: {OLD}"), "small.yaml").tls
    assert tls.peer("192.0.2.21", 5000).because == "an old appliance"
    assert tls.peer("192.0.2.21", 5001).verified
    assert tls.peer("192.0.2.22", 5000).verified
    assert tls.exceptions() == [
        "the certificate of 192.0.2.21:5000 is not verified, because: an old appliance"
    ]


def test_without_the_section_everything_is_verified_and_nothing_is_said() -> None:
    tls = parse_cloud(GOOD, "small.yaml").tls
    assert tls == SYSTEM_TRUST == Tls()
    assert tls.exceptions() == []
    assert tls.peer("Keystone", 443) == Peer("keystone", 443, "keystone", None)


def test_the_name_to_expect_replaces_the_address() -> None:
    tls = Tls(ca_file="ca.pem", addresses={"[2001:db8::1]:5000": TrustedAddress(name="k.test")})
    peer = tls.peer("2001:DB8::1", 5000)
    assert (peer.name, peer.address) == ("k.test", "[2001:db8::1]:5000")
    assert peer.allowed == "a certificate for k.test, valid today, signed by a CA of ca.pem"


@pytest.mark.parametrize(
    ("code", "step"),
    [
        (19, "name the file of the CA that signed it as tls.ca_file in the cloud file"),
        (10, "renew the certificate of k:443, or set this machine's clock"),
        (62, "if k:443 is the right machine, name what its certificate bears as `name` of "
             'tls.addresses."k:443" in the cloud file'),
        (23, "repair the certificate of k:443"),
    ],
)  # fmt: skip
def test_each_reason_has_a_next_step_of_its_own(code: int, step: str) -> None:
    found = refusal(SYSTEM_TRUST.peer("k", 443), code, "the reason", "a certificate for x")
    assert found.next_step == step
    assert str(found) == (
        "k:443 is not trusted: read a certificate for x (the reason). Allowed: a certificate for "
        "k, valid today, signed by a CA of this machine's own list of CAs. Nothing was sent. "
        f"Next: {step}"
    )


def test_the_example_of_the_section_is_right() -> None:
    text = (CLOUDS / "production-example.yaml").read_text(encoding="utf-8")
    begin = text.index("# tls:\n")
    lines = text[begin : text.index("\n\n", begin)].splitlines()
    shown = "\n".join(line[2:] for line in lines)
    tls = parse_cloud(f"{GOOD}{shown}\n", "example.yaml").tls
    assert tls.peer("192.0.2.21", 5000).name == "keystone.example.org"
    assert tls.names("db-1.example.org", 3306)
    assert len(tls.exceptions()) == 1
