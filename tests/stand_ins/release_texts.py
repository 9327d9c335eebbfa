"""Texts that somebody could give for a release: of a form, a cloud file or a node alike."""

from __future__ import annotations

DIGEST = "sha256:" + "0123456789abcdef" * 4

GOOD = [
    "13.0.4", "27.0.1.dev7", "2:29.0.0-0ubuntu1.2", "1:27.0.1-1.el9", "2:22.0.2-0+deb12u3",
    "2:21.0.1-0ubuntu1~cloud0", f"27.0.1@{DIGEST}",
]  # fmt: skip

DANGEROUS = [
    "13.0.4; reboot", "13.0.4 ", " 13.0.4", "13.0.4\n", "\n13.0.4", "13.0.4\n;reboot", "13.0.4\t",
    "$(id)", "13.0.4$(id)", "13.0.4`id`", "13.0.4'", '13.0.4"', "13.0.4\\", "13.0.4|id", "13.0.4&",
    "13.0.4>x", "13.0.4<x", "13.0.4*", "13.0.4?", "13.0.4[a]", "13.0.4{a,b}", "13.0.4/../x",
    "../13.0.4", "13.0.4#", "13.0.4!", "13.0.4%0a", "13.0.4=1", "13.0.4,1", "~root/13.0.4",
    "-13.0.4", "--13.0.4", "13.0.4-$x", "2:13.0.4-1;id", "13.0.4-1 2", "$x:13.0.4", "13.0.4é",
    "{{ target }}", "13.0.4-{{ name }}", f"13.0.4@{DIGEST};id", f"13.0.4@{DIGEST}\n",
]  # fmt: skip
"""Texts that mean something else, or more, to a shell, a path or a template."""
