"""Creating, listing, revoking and looking up keys and credentials."""

from concurrent.futures import ThreadPoolExecutor
from math import inf
from secrets import token_hex
from time import monotonic
from typing import Any

import pytest

from ccs_server.domain.access import ALL_DATA, Access, Scope
from ccs_server.domain.credentials import is_secret, key_id_of
from ccs_server.domain.errors import NotFound
from ccs_server.settings import Settings
from ccs_server.store import credentials, schema
from ccs_server.store.credentials import KeyTerms, StoredSecret
from ccs_server.store.database import Database
from tests.support.clock import Clock


@pytest.fixture
def name() -> str:
    return f"test-{token_hex(6)}"


def valid_keys(database: Database, account: str) -> list[str]:
    issued = credentials.list_keys(database, account)
    return [key.name for key in issued if key.revoked_at is None]


def test_a_key_is_found_by_the_id_that_it_contains(database: Database, name: str) -> None:
    made = credentials.create_key(database, name)
    assert key_id_of(made.key) == made.key_id
    found = credentials.find_key(database, made.key_id)
    assert found
    assert (found.account, found.name) == (name, made.key_id)
    assert is_secret(made.key, found.hash)
    assert not is_secret(made.key[:-1], found.hash)


def test_secrets_are_neither_stored_nor_in_reprs(database: Database, name: str) -> None:
    key = credentials.create_key(database, name)
    credential = credentials.create_credential(database, name)
    with database.engine.connect() as connection:
        stored = "".join(
            str(tuple(row))
            for table in ("api_key", "credential")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")  # noqa: S608 - constants
        )
    for secret in (key.key.rpartition("_")[2], credential.password.rpartition("_")[2]):
        assert secret not in stored
        assert secret not in repr((key, credential))


def test_a_key_is_found_with_its_rights(database: Database, name: str) -> None:
    def found(**terms: Any) -> StoredSecret:
        made = credentials.create_key(database, name, terms=KeyTerms(**terms))
        secret = credentials.find_key(database, made.key_id)
        assert secret
        return secret

    # By identity, so that requests compare nothing else.
    assert found().access is ALL_DATA
    assert found(access=Access(Scope.WRITE)).access is ALL_DATA
    for access in (Access(Scope.READ), Access(Scope.ADMIN), Access(Scope.WRITE, ("a", "b_*"))):
        assert found(access=access).access == access


def test_a_key_is_found_until_it_expires_by_the_clock_of_the_database(
    database: Database, name: str, clock: Clock
) -> None:
    made = credentials.create_key(database, name, terms=KeyTerms(expires_in=100))
    forever = credentials.create_key(database, name)
    clock.advance(seconds=40)
    before = monotonic()
    found = credentials.find_key(database, made.key_id)
    assert found
    # Early by the time that the database takes to respond, never late.
    assert before + 59 < found.valid_until <= monotonic() + 60
    clock.advance(seconds=60)
    assert credentials.find_key(database, made.key_id) is None
    unlimited = credentials.find_key(database, forever.key_id)
    assert unlimited
    assert unlimited.valid_until == inf


def test_a_holder_is_found_by_the_name_that_the_audit_has(database: Database, name: str) -> None:
    key = credentials.create_key(database, name)
    user = credentials.create_credential(database, name)
    for actor in (f"key:{key.key_id}", f"user:{user.username}"):
        found = credentials.find_holder(database, actor)
        assert found
        assert (found.account, found.actor) == (name, actor)
    for actor in ("key:absent", f"user:{key.key_id}", f"key:{user.username}", "operator", ""):
        assert credentials.find_holder(database, actor) is None


def test_expired_keys_are_not_the_newest_valid_one(
    database: Database, name: str, clock: Clock
) -> None:
    kept = credentials.create_key(database, name)
    credentials.create_key(database, name, terms=KeyTerms(expires_in=10))
    clock.advance(seconds=10)
    assert credentials.keep_newest_key(database, name) == (kept.key_id, [])


def test_concurrent_rotations_of_a_key_leave_one_that_does_not_end(
    database: Database, name: str
) -> None:
    old = credentials.create_key(database, name)

    def rotate(_: int) -> bool:
        try:
            credentials.rotate_key(database, name, old.key_id, overlap=0)
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(rotate, range(8))) == 1
    assert len(credentials.list_valid_keys(database, name)) == 1


def test_several_keys_are_valid_until_one_is_revoked(database: Database, name: str) -> None:
    first, second = (credentials.create_key(database, name) for _ in range(2))
    assert valid_keys(database, name) == [first.key_id, second.key_id]
    credentials.revoke_key(database, name, first.key_id)
    assert valid_keys(database, name) == [second.key_id]
    assert credentials.find_key(database, first.key_id) is None


def test_only_a_valid_key_of_the_account_can_be_revoked(database: Database, name: str) -> None:
    made = credentials.create_key(database, name)
    with pytest.raises(NotFound):
        credentials.revoke_key(database, f"{name}-other", made.key_id)
    credentials.revoke_key(database, name, made.key_id)
    with pytest.raises(NotFound):
        credentials.revoke_key(database, name, made.key_id)


def test_regenerate_revokes_all_keys_but_the_newest(database: Database, name: str) -> None:
    *old, newest = [credentials.create_key(database, name).key_id for _ in range(4)]
    bystander = credentials.create_key(database, f"{name}-other")
    assert credentials.keep_newest_key(database, name) == (newest, sorted(old))
    assert valid_keys(database, name) == [newest]
    assert credentials.keep_newest_key(database, name) == (newest, [])
    assert credentials.find_key(database, bystander.key_id)


def test_an_account_without_a_valid_key_cannot_be_regenerated(
    database: Database, name: str
) -> None:
    with pytest.raises(NotFound):
        credentials.keep_newest_key(database, name)


def test_all_keys_are_revoked_at_once(database: Database, name: str) -> None:
    made = [credentials.create_key(database, name).key_id for _ in range(2)]
    assert credentials.revoke_all_keys(database, name) == sorted(made)
    assert valid_keys(database, name) == []
    assert credentials.revoke_all_keys(database, name) == []


def test_a_first_key_is_made_once(empty_database_url: str) -> None:
    schema.migrate(empty_database_url)
    database = Database(empty_database_url, Settings())
    try:
        with ThreadPoolExecutor(4) as pool:
            runs = [pool.submit(credentials.create_first_key, database, "demo") for _ in range(8)]
        assert sum(run.result() is not None for run in runs) == 1
        assert len(credentials.list_keys(database, "demo")) == 1
    finally:
        database.release()


def test_a_credential_is_found_by_its_user_name(database: Database, name: str) -> None:
    made = credentials.create_credential(database, name)
    found = credentials.find_credential(database, made.username)
    assert found
    assert (found.account, found.name) == (name, made.username)
    assert is_secret(made.password, found.hash)


def test_a_revoked_credential_is_not_found(database: Database, name: str) -> None:
    first, second = (credentials.create_credential(database, name) for _ in range(2))
    credentials.revoke_credential(database, name, first.username)
    assert credentials.find_credential(database, first.username) is None
    assert credentials.find_credential(database, second.username)
    with pytest.raises(NotFound):
        credentials.revoke_credential(database, name, first.username)
    assert credentials.revoke_all_credentials(database, name) == [second.username]
    issued = credentials.list_credentials(database, name)
    assert [credential.revoked_at is None for credential in issued] == [False, False]
