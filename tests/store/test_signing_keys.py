"""The keys that sign v2 tokens: creation, rotation, publication, expiry and encryption."""

import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import make_url, text

from ccs_server.domain.errors import Unavailable
from ccs_server.embedded import programs
from ccs_server.settings import SettingError, Settings
from ccs_server.store.audit import read_audit
from ccs_server.store.database import Database
from ccs_server.store.signing_keys import (
    ALGORITHM,
    SigningKeys,
    check_signing_keys,
    encrypt_signing_keys,
    load_signing_keys,
    rotate_signing_keys,
)
from tests.support.clock import Clock

LIFETIME = 3600


def ids(keys: SigningKeys) -> list[str]:
    return [key.key_id for key in keys.keys]


def test_concurrent_instances_make_one_first_key(own_database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(load_signing_keys, own_database, LIFETIME) for _ in range(16)]
    assert len({tuple(ids(run.result())) for run in runs}) == 1
    assert len(ids(load_signing_keys(own_database, LIFETIME))) == 1


def test_the_newest_key_signs_and_older_keys_verify_for_a_token_lifetime(
    own_database: Database, own_clock: Clock
) -> None:
    first = load_signing_keys(own_database, LIFETIME).newest.key_id
    own_clock.advance(seconds=10 * LIFETIME)  # counted from the creation of its successor
    second = rotate_signing_keys(own_database)
    assert ids(load_signing_keys(own_database, LIFETIME)) == [second, first]
    own_clock.advance(seconds=LIFETIME - 60)
    assert ids(load_signing_keys(own_database, LIFETIME)) == [second, first]
    own_clock.advance(seconds=120)
    assert ids(load_signing_keys(own_database, LIFETIME)) == [second]
    own_clock.advance(seconds=10 * LIFETIME)
    assert ids(load_signing_keys(own_database, LIFETIME)) == [second]


def test_a_token_can_be_verified_with_the_published_keys_alone(own_database: Database) -> None:
    signing_keys = load_signing_keys(own_database, LIFETIME)
    rotate_signing_keys(own_database)
    token = jwt.encode(
        {"sub": "somebody"},
        signing_keys.newest.private_key,
        ALGORITHM,
        {"kid": signing_keys.newest.key_id},
    )
    published = load_signing_keys(own_database, LIFETIME).jwks
    assert all("d" not in key for key in published["keys"]), "a private key is published"
    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, [ALGORITHM])["sub"] == "somebody"


def test_a_key_with_an_unknown_id_is_not_found(own_database: Database) -> None:
    signing_keys = load_signing_keys(own_database, LIFETIME)
    assert signing_keys.find("nobody") is None
    assert signing_keys.find(signing_keys.newest.key_id) == signing_keys.newest
    assert "PRIVATE" not in repr(signing_keys)


OLD, NEW, OTHER = (bytes([number]) * 32 for number in range(3))

Opened = Callable[..., Database]


@pytest.fixture
def opened(own_url: str) -> Iterator[Opened]:
    """Opens the database of `own_url` with these keys as `CCS_SECRET_KEY`."""
    with ExitStack() as stack:

        def opened(*keys: bytes) -> Database:
            database = Database(own_url, Settings(secret_key=keys))
            stack.callback(database.release)
            return database

        yield opened


def dumped(url: str) -> str:
    # pg_dump does not work with the movable clock.
    plain = make_url(url).difference_update_query(["options"])
    command = [str(programs() / "pg_dump"), "--dbname", plain.render_as_string(hide_password=False)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def secret_parts(keys: SigningKeys) -> list[str]:
    """Returns the part of each private key's PEM file that differs between keys."""
    parts = []
    for key in keys.keys:
        raw = key.private_key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        pem = key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        parts += [raw.hex(), b64encode(raw).decode()[:-4], pem.decode().splitlines()[1]]
    return parts


def stored(database: Database) -> list[str]:
    with database.engine.connect() as connection:
        rows = connection.execute(text("SELECT private_key FROM signing_key ORDER BY created_at"))
        return list(rows.scalars())


def test_a_dump_of_the_database_contains_no_usable_key(own_url: str, opened: Opened) -> None:
    plain = load_signing_keys(opened(), LIFETIME)
    assert any(part in dumped(own_url) for part in secret_parts(plain)), (
        "the check does not find unencrypted keys"
    )
    database = opened(NEW)
    rotate_signing_keys(database)
    keys = load_signing_keys(database, LIFETIME)
    assert len(keys.keys) == 2
    dump = dumped(own_url)
    assert "PRIVATE KEY" not in dump
    assert not [part for part in secret_parts(keys) if part in dump]


def test_the_first_key_is_encrypted_too(opened: Opened) -> None:
    keys = load_signing_keys(opened(NEW), LIFETIME)
    assert "PRIVATE KEY" not in stored(opened())[0]
    assert ids(load_signing_keys(opened(NEW), LIFETIME)) == ids(keys)


def test_unencrypted_keys_can_be_read_and_are_encrypted_on_demand(opened: Opened) -> None:
    plain = load_signing_keys(opened(), LIFETIME)
    assert ids(load_signing_keys(opened(NEW), LIFETIME)) == ids(plain)
    assert encrypt_signing_keys(opened(NEW), "operator:ada") == ids(plain)
    assert encrypt_signing_keys(opened(NEW)) == []
    assert secret_parts(load_signing_keys(opened(NEW), LIFETIME)) == secret_parts(plain)
    *_, line = read_audit(opened())
    assert (line.action, line.subject, line.actor) == (
        "signing_key.encrypted",
        plain.newest.key_id,
        "operator:ada",
    )
    with pytest.raises(SettingError, match="Set CCS_SECRET_KEY"):
        encrypt_signing_keys(opened())


def test_the_secret_key_is_rotated_while_instances_have_both(opened: Opened) -> None:
    keys = load_signing_keys(opened(OLD), LIFETIME)
    for both in (opened(OLD, NEW), opened(NEW, OLD)):
        assert secret_parts(load_signing_keys(both, LIFETIME)) == secret_parts(keys)
    assert encrypt_signing_keys(opened(NEW, OLD)) == ids(keys)
    for later in (opened(OLD, NEW), opened(NEW, OLD), opened(NEW)):
        assert secret_parts(load_signing_keys(later, LIFETIME)) == secret_parts(keys)
    with pytest.raises(Unavailable):
        load_signing_keys(opened(OLD), LIFETIME)


@pytest.mark.parametrize("wrong", [(), (OTHER,)], ids=["no key", "another key"])
def test_without_the_secret_key_signing_keys_are_neither_read_nor_made(
    opened: Opened, wrong: tuple[bytes, ...]
) -> None:
    key_id = load_signing_keys(opened(NEW), LIFETIME).newest.key_id
    before = stored(opened())
    database = opened(*wrong)
    for refused in (
        lambda: check_signing_keys(database, LIFETIME),
        lambda: load_signing_keys(database, LIFETIME),
        lambda: rotate_signing_keys(database),
        lambda: encrypt_signing_keys(opened(OTHER)),
    ):
        with pytest.raises(Unavailable, match=f"Signing key {key_id} is encrypted with a key that"):
            refused()
    assert stored(opened()) == before
