"""Issue and validate tokens; check whose they are."""

from __future__ import annotations

import time
from typing import Any

from keystone_calls import Answer, KeystoneCalls, expect
from load_world import World
from population import IssuedToken, LoadUser


def issue_admin_token(calls: KeystoneCalls, world: World) -> bool:
    """Issue a token for the administrator and keep it; return whether that worked."""
    admin = world.administrator

    def check(answer: Answer) -> None:
        token = answer.body["token"]
        expect(bool(answer.subject_token), "no X-Subject-Token")
        expect(token["expires_at"] > token["issued_at"], "the token has already expired")
        expect(token["user"]["name"] == admin.name, "token of another user")
        expect(token["project"]["name"] == admin.project, "token for another project")

    user = {"name": admin.name, "domain": {"name": admin.domain}, "password": admin.password}
    scope = {"project": {"name": admin.project, "domain": {"name": admin.project_domain}}}
    answer = calls.call(
        "issue_admin_token",
        "POST",
        "/auth/tokens",
        expected=201,
        check=check,
        body=_password_login(user, scope),
        secrets=(admin.password,),
    )
    if answer is None:
        return False
    world.domain_id = answer.body["token"]["user"]["domain"]["id"]
    token = answer.body["token"]
    world.admin_tokens.add(IssuedToken.of(answer.subject_token, token, time.time()))
    return True


def issue_token(calls: KeystoneCalls, world: World, resident: LoadUser) -> None:
    """Log a resident in to the load's project; others validate the token later."""

    def check(answer: Answer) -> None:
        token = answer.body["token"]
        expect(bool(answer.subject_token), "no X-Subject-Token")
        expect(token["expires_at"] > token["issued_at"], "the token has already expired")
        expect(token["user"]["id"] == resident.id, "token of another user")
        expect(token["project"]["id"] == world.project_id, "token for another project")
        roles = [role["id"] for role in token["roles"]]
        expect(world.role_id in roles, "the token lacks the assigned role")

    password = world.password(resident)
    answer = calls.call(
        "issue_token",
        "POST",
        "/auth/tokens",
        expected=201,
        check=check,
        body=_password_login(
            {"id": resident.id, "password": password}, {"project": {"id": world.project_id}}
        ),
        secrets=(password,),
    )
    if answer is not None:
        token = answer.body["token"]
        world.tokens.add(IssuedToken.of(answer.subject_token, token, time.time()))


def validate_token(calls: KeystoneCalls, world: World, resident: LoadUser) -> None:
    """Validate a token of any age from the pool; without one, issue it first."""
    issued = world.tokens.draw(time.time())
    if issued is None:
        issue_token(calls, world, resident)
        issued = world.tokens.draw(time.time())
    if issued is None:
        return
    owner = issued.user_id

    def check(answer: Answer) -> None:
        token = answer.body["token"]
        expect(token["user"]["id"] == owner, "the token belongs to another user")
        expect(token["project"]["id"] == world.project_id, "token for another project")

    calls.call(
        "validate_token",
        "GET",
        "/auth/tokens",
        expected=200,
        check=check,
        token=world.admin_tokens.draw(),
        subject_token=issued.value,
    )


def authenticate(calls: KeystoneCalls, world: World, user: LoadUser) -> bool:
    """Log a created user in with its present password; return whether that worked.

    The token is not used further: Keystone revokes by whole seconds, so that one issued in the
    second of a password change may be void by design.
    """

    def check(answer: Answer) -> None:
        expect(bool(answer.subject_token), "no X-Subject-Token")
        expect(answer.body["token"]["user"]["id"] == user.id, "token of another user")

    password = world.password(user)
    answer = calls.call(
        "authenticate_created_user",
        "POST",
        "/auth/tokens",
        expected=201,
        check=check,
        body=_password_login({"id": user.id, "password": password}, None),
        secrets=(password,),
    )
    return answer is not None


def _password_login(user: dict[str, Any], scope: dict[str, Any] | None) -> dict[str, Any]:
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if scope is not None:
        auth["scope"] = scope
    return {"auth": auth}
