"""Make the objects that the load needs before its users start: project, role, residents."""

from __future__ import annotations

import time
from typing import Any

from keystone_calls import Answer, KeystoneCalls, expect
from load_world import World
from role_actions import assign
from token_actions import issue_admin_token, issue_token
from user_actions import post_user


class SetupFailed(Exception):
    """An object that could not be made."""


def prepare(calls: KeystoneCalls, world: World) -> None:
    """Make the project, the role and the residents; raise SetupFailed at the first failure.

    Every request counts like any other, so that the reason stands in failures.jsonl.
    """
    if not issue_admin_token(calls, world):
        raise SetupFailed("the administrator cannot log in")
    world.admin_tokens.claim_renewal(time.time())
    world.project_id = _create(
        calls, world, "project", {"name": world.name("project"), "domain_id": world.domain_id}
    )
    world.role_id = _create(calls, world, "role", {"name": world.name("role")})
    for number in range(1, world.profile.residents + 1):
        name = world.name(f"resident-{number}")
        resident = post_user(calls, world, name)
        if resident is None or not assign(calls, world, resident):
            raise SetupFailed(f"user {name} cannot be created and given the role")
        world.population.residents.append(resident)
        issue_token(calls, world, resident)


def _create(calls: KeystoneCalls, world: World, kind: str, fields: dict[str, Any]) -> str:
    def check(answer: Answer) -> None:
        created = answer.body[kind]
        expect(created["name"] == fields["name"] and bool(created["id"]), f"another {kind}")

    answer = calls.call(
        f"create_{kind}",
        "POST",
        f"/{kind}s",
        expected=201,
        check=check,
        token=world.admin_tokens.draw(),
        body={kind: fields},
    )
    if answer is None:
        raise SetupFailed(f"{kind} {fields['name']} cannot be created")
    return str(answer.body[kind]["id"])
