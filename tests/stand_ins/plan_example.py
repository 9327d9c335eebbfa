"""Give tests a plan's parts as the readers record them, with migrations of a made-up release."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from keystone_rollout.domain.releases.hop_plan import hop_part
from keystone_rollout.domain.schema.migrations import Migration
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.hooks.files.cloud_file import load_cloud

FINDING = {
    "ok": False, "check": "reading", "object": "keystone-2", "measured": "no route to host",
    "limit": "reachable and readable", "consequence": "nothing was touched: this is a plan",
    "next_step": "repair it",
}  # fmt: skip


def pending(phase: Phase, *names: str) -> list[dict[str, Any]]:
    return [asdict(Migration(phase, name[:3], name)) for name in names]


def phase(name: str, does: str, *names: str) -> dict[str, Any]:
    sentence = f"{name} runs {len(names)} migrations" if names else f"{name} has {does}"
    waiting = pending(Phase(name), *names)
    return {"phase": name, "does": does, "sentence": sentence, "pending": waiting}


def parts() -> dict[str, Any]:
    """Return all parts of a plan in which nothing stands in the way."""
    return {
        "hop": hop_part(load_cloud("lab", "12.0.3", "13.0.4")),
        "migrations": {
            "image": "keystone:queens", "digest": "sha256:1", "release": "13.0.4",
            "stands": "100/100/100", "findings": [],
            "phases": [
                phase("expand", "runs", "101_placeholder", "102_placeholder", "103_placeholder",
                      "104_expand_badges", "105_expand_ribbons", "106_placeholder"),
                phase("migrate", "nothing to do"),
                phase("contract", "runs", "104_contract_badges"),
            ],
        },
        "schema": {
            "schema": "keystone", "findings": [],
            "tables": {"badge": {"rows": 1_200_000, "exact": False, "bytes": 64 << 20},
                       "user": {"rows": 2000, "exact": True, "bytes": 1 << 20}},
        },
        "nodes": {
            "findings": [],
            "nodes": [
                {"name": name, "release": "12.0.3 running", "server": name,
                 "states": {"haproxy": "ready/UP"}}
                for name in ("keystone-1", "keystone-2")
            ],
        },
        "estimate": {
            "runs": 3, "runs_of_other_hops": 2, "unreadable": [], "findings": [],
            "total": {"median": 190.0, "worst": 300.0, "runs": 3, "other_hop": False},
            "out_of_rotation": {"median": 14.2, "worst": 31.0, "runs": 3, "other_hop": False},
            "steps": [
                {"step": "expand", "median": 3.1, "worst": 9.0, "runs": 3, "other_hop": False},
                {"step": "token_flush", "median": 2.0, "worst": 2.5, "runs": 2, "other_hop": True},
            ],
        },
    }  # fmt: skip


def broken_parts() -> dict[str, Any]:
    """Return a plan whose image and one node were away, and whose estimate never came."""
    found = parts()
    found["migrations"] |= {"phases": None, "digest": None, "findings": [
        {**FINDING, "object": "keystone:queens", "measured": "image is not on this Docker host"}
    ]}  # fmt: skip
    found["nodes"]["nodes"][1]["release"] = "unknown: no route to host"
    found["nodes"]["findings"] = [FINDING]
    found["schema"] |= {"tables": None, "findings": [FINDING]}
    del found["estimate"]
    return found
