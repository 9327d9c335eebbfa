"""The load's profile refuses what cannot be run, and its target what must not be."""

import pytest
from pydantic import ValidationError

from keystone_rollout.domain.load.profile import ACTIONS, DEFAULT_WEIGHTS, LoadProfile
from load_target import TargetRefused, check_target


def test_the_default_draws_every_action_and_validates_most() -> None:
    assert set(DEFAULT_WEIGHTS) == set(ACTIONS)
    assert max(DEFAULT_WEIGHTS, key=lambda name: DEFAULT_WEIGHTS[name]) == "validate_token"
    assert LoadProfile(weights={}).weights == DEFAULT_WEIGHTS


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate": 0}, "greater than 0"),
        ({"weights": {"issue_tokens": 1}}, "Input should be 'issue_token'"),
        ({"weights": {"issue_token": -1}}, "weights of issue_token are negative"),
        ({"weights": {"issue_token": 0}}, "all weights are 0"),
        ({"name_prefix": "a b"}, "String should match pattern"),
        ({"speed": 3}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_profile_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LoadProfile.model_validate(fields)


def test_each_run_has_names_of_its_own() -> None:
    first = LoadProfile().for_run("manual__2026-11-22T14:30:00+00:00")
    second = LoadProfile().for_run("manual__2026-11-22T14:30:01+00:00")
    assert first.name_prefix != second.name_prefix
    assert LoadProfile.model_validate_json(first.model_dump_json()) == first


@pytest.mark.parametrize(
    ("auth_url", "allowed"),
    [
        ("http://127.0.0.1:5000/v3", None),
        ("http://localhost:5000/v3", None),
        ("http://[::1]:5000/v3", None),
        ("https://keystone.example.org/v3", "keystone.example.org"),
    ],
)
def test_loopback_and_the_named_host_are_allowed(auth_url: str, allowed: str | None) -> None:
    check_target(auth_url, auth_url, allowed)


@pytest.mark.parametrize(
    ("auth_url", "host", "allowed", "message"),
    [
        ("http://keystone.example.org/v3", None, None, "does not go to 'keystone.example.org'"),
        ("http://a.example.org/v3", None, "example.org", "allowed are loopback .* 'example.org'"),
        ("http://127.0.0.1.example.org/v3", None, None, "does not go to"),
        ("http://10.0.0.1:5000/v3", None, None, "does not go to '10.0.0.1'"),
        ("http://127.0.0.1:5000/v3", "http://10.0.0.1", None, "have to name the same address"),
        ("127.0.0.1:5000", None, None, "needed is http"),
        ("http://me:secret@127.0.0.1/v3", None, None, "holds a user name or password"),
    ],
)
def test_any_other_target_is_refused(
    auth_url: str, host: str | None, allowed: str | None, message: str
) -> None:
    with pytest.raises(TargetRefused, match=message) as caught:
        check_target(auth_url, host, allowed)
    assert "secret" not in str(caught.value)
