"""The keys of v2 tokens: made once, rotated, published, forgotten in time."""

from concurrent.futures import ThreadPoolExecutor

import jwt

from ccs_server.store.database import Database
from ccs_server.store.signing_keys import (
    ALGORITHM,
    SigningKeys,
    load_signing_keys,
    rotate_signing_keys,
)
from tests.support.clock import Clock

LIFETIME = 3600


def ids(keys: SigningKeys) -> list[str]:
    return [key.key_id for key in keys.keys]


def test_the_first_key_is_made_once_by_many(own_database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(load_signing_keys, own_database, LIFETIME) for _ in range(16)]
    assert len({tuple(ids(run.result())) for run in runs}) == 1
    assert len(ids(load_signing_keys(own_database, LIFETIME))) == 1


def test_the_newest_signs_and_older_ones_verify_for_a_tokens_lifetime(
    own_database: Database, own_clock: Clock
) -> None:
    first = load_signing_keys(own_database, LIFETIME).newest.key_id
    own_clock.advance(
        seconds=10 * LIFETIME
    )  # however old the first is, it counts from its successor
    second = rotate_signing_keys(own_database)
    assert ids(load_signing_keys(own_database, LIFETIME)) == [second, first]
    own_clock.advance(seconds=LIFETIME - 60)
    assert ids(load_signing_keys(own_database, LIFETIME)) == [second, first]
    own_clock.advance(seconds=120)
    assert ids(load_signing_keys(own_database, LIFETIME)) == [second]
    own_clock.advance(seconds=10 * LIFETIME)
    assert ids(load_signing_keys(own_database, LIFETIME)) == [second]


def test_a_token_is_verified_by_the_published_set_alone(own_database: Database) -> None:
    signing_keys = load_signing_keys(own_database, LIFETIME)
    rotate_signing_keys(own_database)
    token = jwt.encode(
        {"sub": "somebody"},
        signing_keys.newest.private_key,
        ALGORITHM,
        {"kid": signing_keys.newest.key_id},
    )
    published = load_signing_keys(own_database, LIFETIME).jwks
    assert all("d" not in key for key in published["keys"]), "a private part is published"
    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, [ALGORITHM])["sub"] == "somebody"


def test_a_key_of_an_unknown_id_is_not_found(own_database: Database) -> None:
    signing_keys = load_signing_keys(own_database, LIFETIME)
    assert signing_keys.find("nobody") is None
    assert signing_keys.find(signing_keys.newest.key_id) == signing_keys.newest
    assert "PRIVATE" not in repr(signing_keys)
