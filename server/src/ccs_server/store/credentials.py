"""Creates, lists, revokes and looks up the keys of v1 and the credentials of v2.

An account may have any number of valid keys and credentials, so that one can be replaced without an outage. Lookups
are prepared statements, since requests wait for them; the rest uses SQLAlchemy Core. Every change, and the first use of
each key or credential, adds a line to the audit log, in which `actor` says who acted.
"""

from dataclasses import dataclass, field
from datetime import datetime

from psycopg.pq.abc import PGresult
from sqlalchemy import Column, ColumnElement, Connection, Table, func, insert, select, text, update

from ccs_server.domain.credentials import hash_secret, is_id, new_id, new_key, new_password
from ccs_server.domain.errors import NotFound
from ccs_server.domain.quotas import Quota
from ccs_server.store import audit
from ccs_server.store.audit import OPERATOR, SERVICE, Action, By
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.quotas import QUOTA_OF_HOLDER, decode_quota
from ccs_server.store.tables import api_key, credential


@dataclass(frozen=True)
class ApiKey:
    """A new v1 key. `key` cannot be shown again, since only its hash is stored."""

    account: str
    key_id: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Credential:
    """A new v2 credential. `password` cannot be shown again, since only its hash is stored."""

    account: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Issued:
    """A key or credential without its secret; `name` is the key id or user name.

    `revoked_at` is None while it is valid.
    """

    name: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class StoredSecret:
    """A valid key or credential as it is stored: its name and the hash of its secret.

    Attributes:
        name: the key id or user name.
        actor: the name of its user in the audit log.
        was_used: whether its first use has been recorded.
        quota: the quota of the account, if it has one.
    """

    account: str
    name: str
    actor: str
    hash: bytes = field(repr=False)
    was_used: bool
    quota: Quota | None


@dataclass(frozen=True)
class _Kind:
    """The table of one kind of secret, and the audit actions that concern it."""

    table: Table
    name: Column[str]
    hash: Column[bytes]
    created: Action
    revoked: Action


_KEYS = _Kind(api_key, api_key.c.key_id, api_key.c.key_hash, Action.KEY_CREATED, Action.KEY_REVOKED)
_CREDENTIALS = _Kind(
    credential,
    credential.c.username,
    credential.c.password_hash,
    Action.CREDENTIAL_CREATED,
    Action.CREDENTIAL_REVOKED,
)

_FIND_KEY = Statement.of(
    "api_key_find",
    f"""SELECT account, 'key:' || key_id, key_hash, first_used_at IS NOT NULL, ({QUOTA_OF_HOLDER})
    FROM api_key AS holder WHERE key_id = $1 AND revoked_at IS NULL""",
)

_USE_KEY = Statement.of(
    "api_key_use",
    """WITH used AS (
        UPDATE api_key SET first_used_at = now()
        WHERE key_id = $1 AND first_used_at IS NULL RETURNING account
    )
    INSERT INTO audit (account, action, subject, actor)
    SELECT account, 'key.first_used', $1, $2 FROM used""",
)

_FIND_CREDENTIAL = Statement.of(
    "credential_find",
    f"""SELECT account, 'user:' || username, password_hash, first_used_at IS NOT NULL,
        ({QUOTA_OF_HOLDER})
    FROM credential AS holder WHERE username = $1 AND revoked_at IS NULL""",
)

_USE_CREDENTIAL = Statement.of(
    "credential_use",
    """WITH used AS (
        UPDATE credential SET first_used_at = now()
        WHERE username = $1 AND first_used_at IS NULL RETURNING account
    )
    INSERT INTO audit (account, action, subject, actor)
    SELECT account, 'credential.first_used', $1, $2 FROM used""",
)


def find_key(database: Database, key_id: str) -> StoredSecret | None:
    """The valid key with this id; None if there is none."""
    return _find(database, _FIND_KEY, key_id)


def find_credential(database: Database, username: str) -> StoredSecret | None:
    """The valid credential with this user name; None if there is none."""
    return _find(database, _FIND_CREDENTIAL, username)


def use_key(database: Database, key: StoredSecret) -> None:
    """Records the first use of the key. If calls are concurrent, one of them records it."""
    if not key.was_used:
        database.execute(_USE_KEY, key.name.encode(), key.actor.encode())


def use_credential(database: Database, credential: StoredSecret) -> None:
    """Records the first use of the credential. If calls are concurrent, one of them records it."""
    if not credential.was_used:
        database.execute(_USE_CREDENTIAL, credential.name.encode(), credential.actor.encode())


def create_key(database: Database, account: str, actor: str = OPERATOR) -> ApiKey:
    """Creates a key. The account's existing keys stay valid."""
    with database.begin() as connection:
        return _create_key(connection, By(account, actor))


def create_first_key(database: Database, account: str) -> ApiKey | None:
    """Creates a key if the store has never contained one; otherwise returns None."""
    with database.begin() as connection:
        # Lets only one process create the first key. Lookups do not wait for this lock.
        connection.execute(text("LOCK TABLE api_key IN SHARE ROW EXCLUSIVE MODE"))
        if connection.scalar(select(api_key.c.key_id).limit(1)) is not None:
            return None
        return _create_key(connection, By(account, SERVICE))


def keep_newest_key(
    database: Database, account: str, actor: str = OPERATOR
) -> tuple[str, list[str]]:
    """Revokes every key of the account but the newest; returns the newest key's id and the revoked ids.

    Raises:
        NotFound: the account has no valid key.
    """
    valid = (
        select(api_key.c.key_id)
        .where(api_key.c.account == account, api_key.c.revoked_at.is_(None))
        .order_by(api_key.c.created_at.desc(), api_key.c.key_id.desc())
        .with_for_update()
    )
    with database.begin() as connection:
        # The rows are locked, so concurrent calls agree on the newest key. A key created meanwhile stays valid.
        newest, *others = connection.scalars(valid).all() or [None]
        if newest is None:
            raise NotFound(f"Account '{account}' has no valid key.")
        revoked = _revoke(
            connection,
            _KEYS,
            By(account, actor),
            api_key.c.key_id.in_(others),
            details={"replaced_by": newest},
        )
        return newest, revoked


def list_keys(database: Database, account: str) -> list[Issued]:
    """All keys that the account has ever had, oldest first."""
    return _list(database, _KEYS, account)


def revoke_key(database: Database, account: str, key_id: str, actor: str = OPERATOR) -> None:
    """Revokes a key. Instances that have cached it accept it for up to `CCS_CREDENTIAL_CACHE` seconds more.

    Raises:
        NotFound: the account has no valid key with this id.
    """
    with database.begin() as connection:
        if not _revoke(connection, _KEYS, By(account, actor), api_key.c.key_id == key_id):
            raise NotFound(f"Account '{account}' has no valid key '{key_id}'.")


def revoke_all_keys(database: Database, account: str, actor: str = OPERATOR) -> list[str]:
    """Revokes every key of the account; returns the ids of those that were valid."""
    with database.begin() as connection:
        return _revoke(connection, _KEYS, By(account, actor))


def create_credential(database: Database, account: str, actor: str = OPERATOR) -> Credential:
    """Creates a user name and a password. The account's existing credentials stay valid."""
    made = Credential(account, new_id(), new_password())
    with database.begin() as connection:
        _insert(connection, _CREDENTIALS, By(account, actor), made.username, made.password)
    return made


def list_credentials(database: Database, account: str) -> list[Issued]:
    """All credentials that the account has ever had, oldest first."""
    return _list(database, _CREDENTIALS, account)


def revoke_credential(
    database: Database, account: str, username: str, actor: str = OPERATOR
) -> None:
    """Revokes a credential, so that its password and all its tokens are refused.

    Instances that have cached it accept it for up to `CCS_CREDENTIAL_CACHE` seconds more.

    Raises:
        NotFound: the account has no valid credential with this user name.
    """
    with database.begin() as connection:
        if not _revoke(
            connection, _CREDENTIALS, By(account, actor), credential.c.username == username
        ):
            raise NotFound(f"Account '{account}' has no valid credential '{username}'.")


def revoke_all_credentials(database: Database, account: str, actor: str = OPERATOR) -> list[str]:
    """Revokes every credential of the account; returns the user names of those that were valid."""
    with database.begin() as connection:
        return _revoke(connection, _CREDENTIALS, By(account, actor))


def _find(database: Database, statement: Statement, name: str) -> StoredSecret | None:
    if not is_id(name):
        return None
    result = database.execute(statement, name.encode())
    if not result.ntuples:
        return None
    account, actor, hash_, was_used = (_text(result, column) for column in range(4))
    quota = result.get_value(0, 4)
    return StoredSecret(
        account,
        name,
        actor,
        bytes.fromhex(hash_.removeprefix(r"\x")),
        was_used == "t",
        decode_quota(quota) if quota else None,
    )


def _create_key(connection: Connection, by: By) -> ApiKey:
    key_id = new_id()
    made = ApiKey(by.account, key_id, new_key(key_id))
    _insert(connection, _KEYS, by, key_id, made.key)
    return made


def _insert(connection: Connection, kind: _Kind, by: By, name: str, secret: str) -> None:
    row = {"account": by.account, kind.name.name: name, kind.hash.name: hash_secret(secret)}
    connection.execute(insert(kind.table).values(row))
    audit.record(connection, by, kind.created, [name])


def _list(database: Database, kind: _Kind, account: str) -> list[Issued]:
    created_at = kind.table.c.created_at
    issued = (
        select(kind.name, created_at, kind.table.c.revoked_at)
        .where(kind.table.c.account == account)
        .order_by(created_at, kind.name)
    )
    with database.begin() as connection:
        return [Issued(*row) for row in connection.execute(issued)]


def _revoke(
    connection: Connection,
    kind: _Kind,
    by: By,
    *conditions: ColumnElement[bool],
    details: dict[str, str] | None = None,
) -> list[str]:
    """Revokes the account's valid keys or credentials that match the conditions; returns their names."""
    revoked = (
        update(kind.table)
        .where(kind.table.c.account == by.account, kind.table.c.revoked_at.is_(None), *conditions)
        .values(revoked_at=func.now())
        .returning(kind.name)
    )
    names = sorted(connection.scalars(revoked))
    audit.record(connection, by, kind.revoked, names, details)
    return names


def _text(result: PGresult, column: int) -> str:
    return (result.get_value(0, column) or b"").decode()
