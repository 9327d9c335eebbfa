"""Assign roles and find the assignments again."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from keystone_calls import Answer, KeystoneCalls, expect
from load_world import World
from population import LoadUser
from user_actions import new_user


def create_role_assignment(calls: KeystoneCalls, world: World, resident: LoadUser) -> None:
    """Give a created user the load's role on its project."""
    user = world.population.take(assigned=False) or new_user(calls, world)
    if user is not None and assign(calls, world, user):
        world.population.put_back(user)


def assign(calls: KeystoneCalls, world: World, user: LoadUser) -> bool:
    """Assign the role; return whether that was acknowledged."""
    answer = calls.call(
        "create_role_assignment",
        "PUT",
        f"/projects/{world.project_id}/users/{user.id}/roles/{world.role_id}",
        expected=204,
        token=world.admin_tokens.draw(),
    )
    user.assigned = answer is not None
    return user.assigned


def list_role_assignments(calls: KeystoneCalls, world: World, resident: LoadUser) -> None:
    """List the assignments of a user that has one, and find it there."""
    created = world.population.take(assigned=True)
    user = created or resident

    def wanted(assignment: dict[str, Any]) -> bool:
        return bool(
            assignment["role"]["id"] == world.role_id
            and assignment["user"]["id"] == user.id
            and assignment["scope"]["project"]["id"] == world.project_id
        )

    def check(answer: Answer) -> None:
        listed = answer.body["role_assignments"]
        expect(
            any(wanted(assignment) for assignment in listed),
            f"the acknowledged assignment is not among the {len(listed)} listed",
        )

    query = urlencode({"user.id": user.id, "scope.project.id": world.project_id})
    calls.call(
        "list_role_assignments",
        "GET",
        f"/role_assignments?{query}",
        expected=200,
        check=check,
        token=world.admin_tokens.draw(),
    )
    if created is not None:
        world.population.put_back(created)
