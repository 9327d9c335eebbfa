"""A node is proven with real tokens: against the others, or alone where there are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from keystone_rollout.hooks.keystone.api import NodeProver, ProofFailed, beyond_cache
from tests.stand_ins.in_memory_keystone import ADMIN_PASSWORD, InMemoryKeystone, serve
from tests.stand_ins.silent_server import full_server, swallowing_server


@pytest.fixture
def keystone() -> Iterator[InMemoryKeystone]:
    with serve() as running:
        yield running


def prover(
    monkeypatch: pytest.MonkeyPatch, elsewhere: str, here: str, start_seconds: float = 0
) -> NodeProver:
    connection = {"host": elsewhere, "login": "admin", "password": ADMIN_PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_TEST_API", json.dumps({"conn_type": "generic", **connection}))
    return NodeProver("test_api", here, start_seconds)


def test_tokens_cross_between_this_node_and_the_others(
    monkeypatch: pytest.MonkeyPatch, keystone: InMemoryKeystone
) -> None:
    proof = prover(monkeypatch, keystone.auth_url, keystone.auth_url).prove()
    assert proof == "issues tokens, validates tokens issued elsewhere, and the reverse"


def test_a_node_with_other_keys_is_found_by_the_others_only(
    monkeypatch: pytest.MonkeyPatch, keystone: InMemoryKeystone
) -> None:
    with serve() as stranger:
        for _ in range(100):  # or its tokens would be called like the others'
            stranger.state.next_id("t")
        stranger_proof = prover(monkeypatch, keystone.auth_url, stranger.auth_url)
        with pytest.raises(ProofFailed, match="could not validate a token issued elsewhere: "):
            stranger_proof.prove()
        assert stranger_proof.prove_alone() == (
            "issues tokens and validates its own; no other server to compare with"
        )


@pytest.mark.parametrize("longer", [False, True], ids=["padded", "no room for padding"])
def test_a_shared_cache_does_not_hide_other_keys(
    monkeypatch: pytest.MonkeyPatch, keystone: InMemoryKeystone, longer: bool
) -> None:
    with serve() as stranger:
        for _ in range(100):  # or its tokens would be called like the others'
            stranger.state.next_id("t")
        stranger.state.cache = keystone.state.cache
        stranger.state.longer_tokens = keystone.state.longer_tokens = longer
        with pytest.raises(ProofFailed, match="could not validate a token issued elsewhere: "):
            prover(monkeypatch, keystone.auth_url, stranger.auth_url).prove()


@pytest.mark.parametrize(
    ("token", "asked"), [("gAAA", "gAAA"), ("gAAAA1", "gAAAA1=="), ("gAAAA12", "gAAAA12=")]
)
def test_a_token_is_written_with_its_padding(token: str, asked: str) -> None:
    assert beyond_cache(token) == asked


def test_a_node_is_proven_alone_while_nobody_is_behind_the_load_balancer(
    monkeypatch: pytest.MonkeyPatch, keystone: InMemoryKeystone
) -> None:
    alone = prover(monkeypatch, "http://127.0.0.1:1/v3", keystone.auth_url)
    with pytest.raises(ProofFailed):
        alone.prove()
    assert alone.prove_alone().startswith("issues tokens")


def test_a_node_that_forgets_its_own_tokens_is_not_proven(
    monkeypatch: pytest.MonkeyPatch, keystone: InMemoryKeystone
) -> None:
    keystone.state.faults.add("forget")
    with pytest.raises(ProofFailed, match="could not validate a token"):
        prover(monkeypatch, keystone.auth_url, keystone.auth_url).prove_alone()


def test_a_node_that_does_not_start_is_waited_for_and_then_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = prover(monkeypatch, "http://127.0.0.1:1/v3", "http://127.0.0.1:1/v3", 0.6)
    with pytest.raises(ProofFailed, match=r"^127.0.0.1:1 could not issue a token: "):
        silent.prove_alone()


@pytest.mark.parametrize("silent", [swallowing_server, full_server])
def test_a_node_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
    keystone: InMemoryKeystone,
    silent: Callable[[], AbstractContextManager[int]],
) -> None:
    connection = {"conn_type": "generic", "host": keystone.auth_url, "login": "admin"}
    monkeypatch.setenv("AIRFLOW_CONN_TEST_API", json.dumps(connection))
    with silent() as port:
        proof = NodeProver("test_api", f"http://127.0.0.1:{port}/v3", 0, timeout=0.5)
        with pytest.raises(ProofFailed) as caught:
            proof.prove()
    assert str(caught.value).startswith(f"127.0.0.1:{port} could not issue a token: ")
    assert str(caught.value).endswith("timed out (limit 0.5 s, load.profile.timeout)")
