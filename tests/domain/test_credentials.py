"""Keys and passwords: their form, their entropy and their comparison."""

import re

import pytest

from ccs_server.domain.credentials import (
    hash_secret,
    is_secret,
    key_id_of,
    new_id,
    new_key,
    new_password,
)


def test_a_key_has_a_prefix_and_contains_its_id() -> None:
    key = new_key("abcDEF123456")
    assert re.fullmatch(r"ccs_abcDEF123456_[A-Za-z0-9]{43}", key)
    assert key_id_of(key) == "abcDEF123456"
    assert re.fullmatch(r"ccs_[A-Za-z0-9]{43}", new_password())


def test_secrets_are_never_generated_twice() -> None:
    drawn = [
        draw() for draw in (new_id, new_password, lambda: new_key("x" * 12)) for _ in range(500)
    ]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize(
    "text",
    ["", "ccs_", "ccs__", "ccs_abcDEF123456_", f"ccs_abcDEF123456_{'x' * 42}", f"x{'y' * 70}",
     f"ccs_abcDEF123456_{'x' * 43}\n", f"ccs_abcDEF12345é_{'x' * 43}"],
)  # fmt: skip
def test_text_that_is_not_a_key_has_no_key_id(text: str) -> None:
    assert key_id_of(text) is None


def test_only_the_secret_itself_matches_its_hash() -> None:
    key = new_key(new_id())
    stored = hash_secret(key)
    assert len(stored) == 32
    assert is_secret(key, stored)
    assert not is_secret(key[:-1], stored)
    assert not is_secret(new_key(new_id()), stored)


def test_any_text_can_be_compared() -> None:
    assert not is_secret("\udcff\x00é", hash_secret("x"))
