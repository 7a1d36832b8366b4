"""Keys of v1 and credentials of v2: made, listed, revoked, looked up.

An account has as many of each as it likes, valid side by side, so that one is replaced without an outage. The look-ups
are prepared statements, since requests wait for them; the rest is SQLAlchemy Core. Whatever changes one, or uses it for
the first time, leaves a line in the audit; `actor` is who does so.
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
from ccs_server.store.database import Database
from ccs_server.store.quotas import QUOTA_OF_HOLDER, decode_quota
from ccs_server.store.tables import api_key, credential
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
    """A key or credential by its public name; `revoked_at` is None while it is valid."""

    name: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class StoredSecret:
    """A valid key or credential as the store knows it: by its public name and the hash of its secret.

    `actor` is how the audit names who uses it; `was_used` tells whether that was recorded already. `quota` is the
    account's, if it has one.
    """

    account: str
    name: str
    actor: str
    hash: bytes = field(repr=False)
    was_used: bool
    quota: Quota | None


@dataclass(frozen=True)
class _Kind:
    """Where secrets of one kind are kept, and what the audit calls what happens to them."""

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
    """The valid key of this id; None if there is none."""
    return _find(database, _FIND_KEY, key_id)


def find_credential(database: Database, username: str) -> StoredSecret | None:
    """The valid credential of this user name; None if there is none."""
    return _find(database, _FIND_CREDENTIAL, username)


def use_key(database: Database, key: StoredSecret) -> None:
    """Records that the key was used, if it is the first time. Of several calls at once, one records it."""
    if not key.was_used:
        database.execute(_USE_KEY, key.name.encode(), key.actor.encode())


def use_credential(database: Database, credential: StoredSecret) -> None:
    """Records that the credential was used, if it is the first time. Of several calls at once, one records it."""
    if not credential.was_used:
        database.execute(_USE_CREDENTIAL, credential.name.encode(), credential.actor.encode())


def create_key(database: Database, account: str, actor: str = OPERATOR) -> ApiKey:
    """Makes a key; those that the account has stay valid."""
    with database.begin() as connection:
        return _create_key(connection, By(account, actor))


def create_first_key(database: Database, account: str) -> ApiKey | None:
    """Makes a key if the store has never had one of any account; None if it has."""
    with database.begin() as connection:
        # Only one process at a time makes a first key. Reading and revoking keys need not wait.
        connection.execute(text("LOCK TABLE api_key IN SHARE ROW EXCLUSIVE MODE"))
        if connection.scalar(select(api_key.c.key_id).limit(1)) is not None:
            return None
        return _create_key(connection, By(account, SERVICE))


def keep_newest_key(
    database: Database, account: str, actor: str = OPERATOR
) -> tuple[str, list[str]]:
    """Revokes every key of the account but its newest; returns that one's id, and those of the revoked.

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
        # The rows are locked, so calls at the same time agree on the newest key. A key made meanwhile stays valid.
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
    """Every key the account ever had, oldest first."""
    return _list(database, _KEYS, account)


def revoke_key(database: Database, account: str, key_id: str, actor: str = OPERATOR) -> None:
    """Revokes a key, within seconds on every instance (`CCS_CREDENTIAL_CACHE`).

    Raises:
        NotFound: the account has no such valid key.
    """
    with database.begin() as connection:
        if not _revoke(connection, _KEYS, By(account, actor), api_key.c.key_id == key_id):
            raise NotFound(f"Account '{account}' has no valid key '{key_id}'.")


def revoke_all_keys(database: Database, account: str, actor: str = OPERATOR) -> list[str]:
    """Revokes every key of the account; returns the ids of those that were valid."""
    with database.begin() as connection:
        return _revoke(connection, _KEYS, By(account, actor))


def create_credential(database: Database, account: str, actor: str = OPERATOR) -> Credential:
    """Makes a user name and a password; those that the account has stay valid."""
    made = Credential(account, new_id(), new_password())
    with database.begin() as connection:
        _insert(connection, _CREDENTIALS, By(account, actor), made.username, made.password)
    return made


def list_credentials(database: Database, account: str) -> list[Issued]:
    """Every credential the account ever had, oldest first."""
    return _list(database, _CREDENTIALS, account)


def revoke_credential(
    database: Database, account: str, username: str, actor: str = OPERATOR
) -> None:
    """Revokes a credential: within seconds every instance refuses its password and its tokens.

    The tokens' own expiry does not matter; an instance remembers a valid one for `CCS_CREDENTIAL_CACHE`.

    Raises:
        NotFound: the account has no such valid credential.
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
    """Revokes those of the account's valid ones that meet the conditions; returns their names."""
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
