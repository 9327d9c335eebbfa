"""Create, look up, change and delete users; record acknowledged writes."""

from __future__ import annotations

import time
from urllib.parse import urlencode

from keystone_calls import Answer, KeystoneCalls, expect
from load_world import World
from population import LoadUser
from token_actions import authenticate


def get_user(calls: KeystoneCalls, world: World, resident: LoadUser) -> None:
    """Look up a created user, or the resident if none is idle."""
    created = world.population.take()
    user = created or resident

    def check(answer: Answer) -> None:
        found = answer.body["user"]
        expect(found["id"] == user.id and found["name"] == user.name, "another user")

    calls.call(
        "get_user",
        "GET",
        f"/users/{user.id}",
        expected=200,
        check=check,
        token=world.admin_tokens.draw(),
    )
    # A look-up changes nothing: the user may be used again even if it failed.
    if created is not None:
        world.population.put_back(created)


def list_users(calls: KeystoneCalls, world: World, resident: LoadUser) -> None:
    """List users by name; exactly the one of that name must be there."""

    def check(answer: Answer) -> None:
        ids = [user["id"] for user in answer.body["users"]]
        expect(ids == [resident.id], f"{len(ids)} users, not just the one of that name")

    query = urlencode({"name": resident.name, "domain_id": world.domain_id})
    calls.call(
        "list_users",
        "GET",
        f"/users?{query}",
        expected=200,
        check=check,
        token=world.admin_tokens.draw(),
    )


def create_user(calls: KeystoneCalls, world: World, resident: LoadUser) -> None:
    """Create a user; once the profile's bound is reached, log one in instead.

    It does not delete one instead: that costs Keystone several times as much, and a load that grows
    heavier would look like a cloud that grows slower.
    """
    if world.population.full:
        authenticate_created_user(calls, world, resident)
        return
    user = new_user(calls, world)
    if user is not None:
        world.population.put_back(user)


def new_user(calls: KeystoneCalls, world: World) -> LoadUser | None:
    """Create a user and enter it in the ledger once it is acknowledged."""
    user = post_user(calls, world, world.next_user_name())
    if user is not None:
        world.ledger.event(time.time(), "created", user.id, user.name, user.generation)
        world.population.born(user)
    return user


def post_user(calls: KeystoneCalls, world: World, name: str) -> LoadUser | None:
    """Create a user of that name in Keystone."""
    user = LoadUser(id="", name=name)
    password = world.password(user)

    def check(answer: Answer) -> None:
        created = answer.body["user"]
        expect(created["name"] == name and bool(created["id"]), "another user")
        expect("password" not in created, "the password is in the answer")

    answer = calls.call(
        "create_user",
        "POST",
        "/users",
        expected=201,
        check=check,
        token=world.admin_tokens.draw(),
        body={"user": {"name": name, "domain_id": world.domain_id, "password": password}},
        secrets=(password,),
    )
    if answer is None:
        return None
    user.id = answer.body["user"]["id"]
    return user


def take_or_create(calls: KeystoneCalls, world: World) -> LoadUser | None:
    """Return a created user that no other action uses; create one if there is none."""
    return world.population.take() or new_user(calls, world)


def authenticate_created_user(calls: KeystoneCalls, world: World, resident: LoadUser) -> None:
    """Log a created user in with its present password."""
    user = take_or_create(calls, world)
    if user is not None and authenticate(calls, world, user):
        world.population.put_back(user)


def change_password(calls: KeystoneCalls, world: World, resident: LoadUser) -> None:
    """Let a user change its password, then log in with the new one at once."""
    user = take_or_create(calls, world)
    if user is None:
        return
    old = world.password(user)
    user.generation += 1
    new = world.password(user)
    event = (user.id, user.name, user.generation)
    world.ledger.event(time.time(), "password_change_sent", *event)
    answer = calls.call(
        "change_password",
        "POST",
        f"/users/{user.id}/password",
        expected=204,
        token=world.admin_tokens.draw(),
        body={"user": {"password": new, "original_password": old}},
        secrets=(old, new),
    )
    if answer is None:
        return
    world.ledger.event(time.time(), "password_changed", *event)
    if authenticate(calls, world, user):
        world.population.put_back(user)


def delete_user(calls: KeystoneCalls, world: World, resident: LoadUser) -> None:
    """Delete a created user for good."""
    user = take_or_create(calls, world)
    if user is None:
        return
    event = (user.id, user.name, user.generation)
    world.ledger.event(time.time(), "delete_sent", *event)
    world.population.gone(user)
    answer = calls.call(
        "delete_user",
        "DELETE",
        f"/users/{user.id}",
        expected=204,
        token=world.admin_tokens.draw(),
    )
    if answer is not None:
        world.ledger.event(time.time(), "deleted", *event)
