"""Keys of v1 and credentials of v2: made, listed, revoked, looked up.

An account has as many of each as it likes, valid side by side, so that one is replaced without an outage.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg.pq.abc import PGresult

from ccs_server.domain.credentials import hash_secret, new_id, new_key, new_password
from ccs_server.domain.errors import NotFound
from ccs_server.domain.quotas import Quota
from ccs_server.store.database import Database
from ccs_server.store.quotas import QUOTA_OF_HOLDER, decode_quota
from ccs_server.store.wire import Statement


@dataclass(frozen=True)
class ApiKey:
    """A new v1 key; `key` is shown once and never again."""

    account: str
    key_id: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Credential:
    """A new v2 credential; `password` is shown once and never again."""

    account: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Issued:
    """A key or credential by its public name, with its times in UTC; `revoked_at` is None while it is valid."""

    name: str
    created_at: str
    revoked_at: str | None


class Found(NamedTuple):
    """The account and the secret's hash of a valid key or credential, and the account's quota if it has one."""

    account: str
    secret_hash: bytes
    quota: Quota | None


class _Statements:
    """The same statements for two tables."""

    def __init__(self, table: str, name: str, hash_: str) -> None:
        self.insert = Statement.of(
            f"{table}_insert",
            f"INSERT INTO {table} (account, {name}, {hash_}) VALUES ($1, $2, $3::bytea)",
        )
        self.list = Statement.of(
            f"{table}_list",
            f"SELECT {name}, {_utc('created_at')}, {_utc('revoked_at')} FROM {table} "
            f"WHERE account = $1 ORDER BY created_at, {name}",
        )
        # Without $2 all of the account's.
        self.revoke = Statement.of(
            f"{table}_revoke",
            f"UPDATE {table} SET revoked_at = now() WHERE account = $1 AND revoked_at IS NULL "
            f"AND {name} = coalesce($2, {name}) RETURNING {name}",
        )
        self.find = Statement.of(
            f"{table}_find",
            f"SELECT account, {hash_}, ({QUOTA_OF_HOLDER}) FROM {table} AS holder "
            f"WHERE {name} = $1 AND revoked_at IS NULL",
        )


def _utc(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


_KEYS = _Statements("api_key", "key_id", "key_hash")
_CREDENTIALS = _Statements("credential", "username", "password_hash")

# One maker of a first key at a time. Readers and revokers do not wait.
_LOCK_KEYS = Statement.of("api_key_lock", "LOCK TABLE api_key IN SHARE ROW EXCLUSIVE MODE")
# Whom two of these at once find newest, neither revokes.
_KEEP_NEWEST_KEY = Statement.of(
    "api_key_keep_newest",
    """WITH newest AS (
        SELECT key_id FROM api_key WHERE account = $1 AND revoked_at IS NULL
        ORDER BY created_at DESC, key_id DESC LIMIT 1
    ), gone AS (
        UPDATE api_key SET revoked_at = now()
        WHERE account = $1 AND revoked_at IS NULL AND key_id <> (SELECT key_id FROM newest)
        RETURNING key_id
    )
    SELECT key_id, (SELECT string_agg(key_id, ',') FROM gone) FROM newest""",
)
_ANY_KEY = Statement.of("api_key_any", "SELECT FROM api_key LIMIT 1")


def create_key(database: Database, account: str) -> ApiKey:
    """Makes a key; those that the account has stay valid."""
    made = _new_key(account)
    database.execute(_KEYS.insert, *_key_row(made))
    return made


def create_first_key(database: Database, account: str) -> ApiKey | None:
    """Makes a key if the store has never had one of any account; None if it has."""
    made = _new_key(account)
    with database.transaction() as wire:
        wire.execute(_LOCK_KEYS)
        if wire.execute(_ANY_KEY).ntuples:
            return None
        wire.execute(_KEYS.insert, _key_row(made))
    return made


def keep_newest_key(database: Database, account: str) -> tuple[str, list[str]]:
    """Revokes every key of the account but its newest; returns that one's id, and those of the revoked.

    Raises:
        NotFound: the account has no valid key.
    """
    result = database.execute(_KEEP_NEWEST_KEY, account.encode())
    if not result.ntuples:
        raise NotFound(f"Account '{account}' has no valid key.")
    return _text(result, 0, 0), sorted(filter(None, _text(result, 0, 1).split(",")))


def list_keys(database: Database, account: str) -> list[Issued]:
    """Every key the account ever had, oldest first."""
    return _issued(database.execute(_KEYS.list, account.encode()))


def revoke_key(database: Database, account: str, key_id: str) -> None:
    """Revokes a key, within seconds on every instance (`CCS_CREDENTIAL_CACHE`).

    Raises:
        NotFound: the account has no such valid key.
    """
    if not _names(database.execute(_KEYS.revoke, account.encode(), key_id.encode())):
        raise NotFound(f"Account '{account}' has no valid key '{key_id}'.")


def revoke_all_keys(database: Database, account: str) -> list[str]:
    """Revokes every key of the account; returns the ids of those that were valid."""
    return _names(database.execute(_KEYS.revoke, account.encode(), None))


def find_key(database: Database, key_id: str) -> Found | None:
    """What is known of a valid key; None if there is none of this id."""
    return _found(database.execute(_KEYS.find, key_id.encode()))


def create_credential(database: Database, account: str) -> Credential:
    """Makes a user name and a password; those that the account has stay valid."""
    made = Credential(account, new_id(), new_password())
    database.execute(
        _CREDENTIALS.insert, account.encode(), made.username.encode(), _hash(made.password)
    )
    return made


def list_credentials(database: Database, account: str) -> list[Issued]:
    """Every credential the account ever had, oldest first."""
    return _issued(database.execute(_CREDENTIALS.list, account.encode()))


def revoke_credential(database: Database, account: str, username: str) -> None:
    """Revokes a credential; tokens that were given for it live on until they expire.

    Raises:
        NotFound: the account has no such valid credential.
    """
    revoked = database.execute(_CREDENTIALS.revoke, account.encode(), username.encode())
    if not _names(revoked):
        raise NotFound(f"Account '{account}' has no valid credential '{username}'.")


def revoke_all_credentials(database: Database, account: str) -> list[str]:
    """Revokes every credential of the account; returns the user names of those that were valid."""
    return _names(database.execute(_CREDENTIALS.revoke, account.encode(), None))


def find_credential(database: Database, username: str) -> Found | None:
    """What is known of a valid credential; None if there is none of this name."""
    return _found(database.execute(_CREDENTIALS.find, username.encode()))


def _new_key(account: str) -> ApiKey:
    key_id = new_id()
    return ApiKey(account, key_id, new_key(key_id))


def _key_row(made: ApiKey) -> tuple[bytes, bytes, bytes]:
    return made.account.encode(), made.key_id.encode(), _hash(made.key)


def _hash(secret: str) -> bytes:
    return rf"\x{hash_secret(secret).hex()}".encode()


def _found(result: PGresult) -> Found | None:
    if not result.ntuples:
        return None
    account, hash_, quota = _text(result, 0, 0), _text(result, 0, 1), result.get_value(0, 2)
    secret_hash = bytes.fromhex(hash_.removeprefix(r"\x"))
    return Found(account, secret_hash, decode_quota(quota) if quota else None)


def _issued(result: PGresult) -> list[Issued]:
    return [
        Issued(_text(result, row, 0), _text(result, row, 1), _text(result, row, 2) or None)
        for row in range(result.ntuples)
    ]


def _names(result: PGresult) -> list[str]:
    return sorted(_text(result, row, 0) for row in range(result.ntuples))


def _text(result: PGresult, row: int, column: int) -> str:
    return (result.get_value(row, column) or b"").decode()
