"""The passwords of load users are derived, never stored."""

import pytest

from keystone_rollout.domain.load.credentials import derive_password


def test_the_same_input_gives_the_same_password() -> None:
    assert derive_password("key", "load-1", 2) == derive_password("key", "load-1", 2)


def test_the_algorithm_is_hmac_sha256() -> None:
    # printf 6:load-1:0 | openssl dgst -sha256 -hmac key -binary | base64 | tr +/ -_
    assert derive_password("key", "load-1", 0) == "dDdroVGkAXSR_UA072CiwSTrmhbyqipY"


@pytest.mark.parametrize(
    "other", [("kez", "load-1", 0), ("key", "load-2", 0), ("key", "load-1", 1)]
)
def test_key_name_and_generation_all_matter(other: tuple[str, str, int]) -> None:
    assert derive_password(*other) != derive_password("key", "load-1", 0)


def test_a_name_cannot_run_into_the_generation() -> None:
    assert derive_password("key", "load-1:1", 1) != derive_password("key", "load-1", 11)
    assert derive_password("key", "load:1", 0) != derive_password("key", "load", 10)


def test_the_password_is_long_and_plain() -> None:
    password = derive_password("key", "load-1", 0)
    assert len(password) == 32
    assert password.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(("key", "name"), [("", "load-1"), ("key", "")])
def test_an_empty_key_or_name_is_refused(key: str, name: str) -> None:
    with pytest.raises(ValueError, match="needs a key and a user name"):
        derive_password(key, name, 0)


def test_a_negative_generation_is_refused() -> None:
    with pytest.raises(ValueError, match="generation of load-1 is -1, it starts at 0"):
        derive_password("key", "load-1", -1)
