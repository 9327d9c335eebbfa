"""The runbook's line for haproxy.cfg is the one that the lab's HAProxy runs with."""

from __future__ import annotations

import re

from tests.docs.documentation import ROOT, read_page

DIRECTIVE = re.compile(r"stats socket ipv4@[0-9.]+:9999 level admin")


def test_the_documented_socket_is_the_labs_at_another_address() -> None:
    documented = [
        block.text.strip()
        for block in read_page("docs/runbook.md").blocks("text")
        if "stats socket" in block.text
    ]
    lab = (ROOT / "lab" / "images" / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
    assert len(documented) == 1
    assert DIRECTIVE.fullmatch(documented[0])
    assert DIRECTIVE.search(lab)


def test_it_is_bound_to_one_address() -> None:
    (address,) = re.findall(r"ipv4@([0-9.]+):", read_page("docs/runbook.md").text)
    assert address != "0.0.0.0"
