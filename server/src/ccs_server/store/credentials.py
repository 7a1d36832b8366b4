"""Creates, lists, rotates, revokes and looks up keys, and the credentials of v2.

An account may have any number of valid keys and credentials, so that one can be replaced without an outage. Lookups
are prepared statements, since requests wait for them; the rest uses SQLAlchemy Core. Every change, and the first use of
each key or credential, adds a line to the audit log, in which `actor` says who acted.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Any

from msgspec.json import decode
from psycopg.pq.abc import PGresult
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from ccs_server.domain.access import ALL_DATA, Access, Scope
from ccs_server.domain.credentials import hash_secret, is_id, new_id, new_key, new_password
from ccs_server.domain.errors import NotFound
from ccs_server.domain.quotas import Quota
from ccs_server.store import audit
from ccs_server.store.audit import OPERATOR, SERVICE, Action, By
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.operations.idempotency import Once, run_once
from ccs_server.store.quotas import QUOTA_OF_HOLDER, decode_quota
from ccs_server.store.tables import api_key, credential


@dataclass(frozen=True)
class ApiKey:
    """A new key. `key` cannot be shown again, since only its hash is stored."""

    account: str
    key_id: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class KeyTerms:
    """What a key is created with: its rights, the seconds until it expires (None for never), and its label."""

    access: Access = ALL_DATA
    expires_in: int | None = None
    label: str = ""


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
class IssuedKey(Issued):
    """A key without its secret, with what it was created with; `expires_at` is None if it does not expire."""

    access: Access
    expires_at: datetime | None
    label: str


@dataclass(frozen=True)
class NewKey(ApiKey):
    """A new key with what it was created with."""

    issued: IssuedKey


@dataclass(frozen=True)
class StoredSecret:
    """A valid key or credential as it is stored: its name and the hash of its secret.

    Attributes:
        name: the key id or user name.
        actor: the name of its user in the audit log.
        was_used: whether its first use has been recorded.
        quota: the quota of the account, if it has one.
        access: its rights.
        database_time: the time of the database when it was found, in seconds since the epoch.
        expires_at: when it expires, by the same clock; infinity if it does not.
        asked_at: when the database was asked, by this process's monotonic clock.
    """

    account: str
    name: str
    actor: str
    hash: bytes = field(repr=False)
    was_used: bool
    quota: Quota | None
    access: Access
    database_time: float = field(compare=False)
    expires_at: float
    asked_at: float = field(compare=False)

    def local_time(self, moment: float) -> float:
        """A time of the database's clock by this process's monotonic clock, at most a round trip too early."""
        return self.asked_at + moment - self.database_time

    @property
    def valid_until(self) -> float:
        """When it expires, by this process's monotonic clock."""
        return self.local_time(self.expires_at)


@dataclass(frozen=True)
class _Kind:
    """The table of one kind of secret, and the audit action that records its revocation."""

    table: Table
    name: Column[str]
    revoked: Action


_KEYS = _Kind(api_key, api_key.c.key_id, Action.KEY_REVOKED)
_CREDENTIALS = _Kind(credential, credential.c.username, Action.CREDENTIAL_REVOKED)

_ISSUED_KEY = (
    api_key.c.key_id,
    api_key.c.created_at,
    api_key.c.revoked_at,
    api_key.c.scope,
    api_key.c.namespaces,
    api_key.c.expires_at,
    api_key.c.label,
)

_DEFAULT_TERMS = KeyTerms()

_FIND_KEY = Statement.of(
    "api_key_find",
    f"""SELECT account, 'key:' || key_id, key_hash, first_used_at IS NOT NULL, ({QUOTA_OF_HOLDER}),
        scope, to_json(namespaces), extract(epoch FROM now()), extract(epoch FROM expires_at)
    FROM api_key AS holder
    WHERE key_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())""",
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
        ({QUOTA_OF_HOLDER}), 'write', NULL, extract(epoch FROM now()), NULL
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


def find_holder(database: Database, actor: str) -> StoredSecret | None:
    """The valid key or credential that the audit log names so; None if there is none."""
    kind, _, name = actor.partition(":")
    return find_key(database, name) if kind == "key" else find_credential(database, name)


def use_key(database: Database, key: StoredSecret) -> None:
    """Records the first use of the key. If calls are concurrent, one of them records it."""
    if not key.was_used:
        database.execute(_USE_KEY, key.name.encode(), key.actor.encode())


def use_credential(database: Database, credential: StoredSecret) -> None:
    """Records the first use of the credential. If calls are concurrent, one of them records it."""
    if not credential.was_used:
        database.execute(_USE_CREDENTIAL, credential.name.encode(), credential.actor.encode())


def create_key(
    database: Database,
    account: str,
    actor: str = OPERATOR,
    terms: KeyTerms = _DEFAULT_TERMS,
    once: Once[NewKey] | None = None,
) -> NewKey:
    """Creates a key. The account's existing keys stay valid.

    Raises:
        Replay: the request of `once` has been answered before.
    """
    lifetime = terms.expires_in
    expires_at = func.now() + timedelta(seconds=lifetime) if lifetime is not None else None
    by = By(account, actor)
    return run_once(
        database, once, lambda connection: _create_key(connection, by, terms, expires_at)
    )


def rotate_key(  # noqa: PLR0913, PLR0917 - whose key, by whom, and how
    database: Database,
    account: str,
    key_id: str,
    overlap: int,
    actor: str = OPERATOR,
    once: Once[NewKey] | None = None,
) -> NewKey:
    """Creates a key with the rights, label and expiry of a valid one, which ends in `overlap` seconds at the latest.

    Instances that have cached the old key accept it for up to `CCS_CREDENTIAL_CACHE` seconds more.

    Raises:
        NotFound: the account has no valid key with this id.
        Replay: the request of `once` has been answered before.
    """
    by = By(account, actor)
    old = select(api_key).where(_is_valid_key(account), api_key.c.key_id == key_id)
    ends = func.least(api_key.c.expires_at, func.now() + timedelta(seconds=overlap))

    def rotate(connection: Connection) -> NewKey:
        # The row is locked, so a key that is being revoked cannot be replaced.
        row = connection.execute(old.with_for_update()).one_or_none() if is_id(key_id) else None
        if row is None:
            raise _no_valid_key(account, key_id)
        terms = KeyTerms(_access_of(row.scope, row.namespaces), label=row.label)
        made = _create_key(connection, by, terms, row.expires_at)
        connection.execute(
            update(api_key).where(api_key.c.key_id == key_id).values(expires_at=ends)
        )
        details = {"replaced_by": made.key_id, "overlap": overlap}
        audit.record(connection, by, Action.KEY_ROTATED, [key_id], details)
        return made

    return run_once(database, once, rotate)


def create_first_key(database: Database, account: str) -> ApiKey | None:
    """Creates a key if the store has never contained one; otherwise returns None."""
    with database.begin() as connection:
        # Lets only one process create the first key. Lookups do not wait for this lock.
        connection.execute(text("LOCK TABLE api_key IN SHARE ROW EXCLUSIVE MODE"))
        if connection.scalar(select(api_key.c.key_id).limit(1)) is not None:
            return None
        return _create_key(connection, By(account, SERVICE), _DEFAULT_TERMS, None)


def keep_newest_key(
    database: Database, account: str, actor: str = OPERATOR
) -> tuple[str, list[str]]:
    """Revokes every key of the account but the newest; returns the newest key's id and the revoked ids.

    Raises:
        NotFound: the account has no valid key.
    """
    valid = (
        select(api_key.c.key_id)
        .where(_is_valid_key(account))
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


def list_keys(database: Database, account: str) -> list[IssuedKey]:
    """All keys that the account has ever had, oldest first."""
    return _list_keys(database, api_key.c.account == account)


def list_valid_keys(database: Database, account: str) -> list[IssuedKey]:
    """The keys of the account that are neither revoked nor expired, oldest first."""
    return _list_keys(database, _is_valid_key(account))


def revoke_key(database: Database, account: str, key_id: str, actor: str = OPERATOR) -> None:
    """Revokes a key. Instances that have cached it accept it for up to `CCS_CREDENTIAL_CACHE` seconds more.

    Raises:
        NotFound: the account has no valid key with this id.
    """
    if not delete_key(database, account, key_id, actor):
        raise _no_valid_key(account, key_id)


def delete_key(database: Database, account: str, key_id: str, actor: str) -> bool:
    """Revokes a key like `revoke_key`; returns whether the account had a valid key with this id."""
    if not is_id(key_id):
        return False
    with database.begin() as connection:
        revoked = _revoke(connection, _KEYS, By(account, actor), api_key.c.key_id == key_id)
    return bool(revoked)


def revoke_all_keys(database: Database, account: str, actor: str = OPERATOR) -> list[str]:
    """Revokes every key of the account; returns the ids of those that were valid."""
    with database.begin() as connection:
        return _revoke(connection, _KEYS, By(account, actor))


def create_credential(database: Database, account: str, actor: str = OPERATOR) -> Credential:
    """Creates a user name and a password. The account's existing credentials stay valid."""
    made = Credential(account, new_id(), new_password())
    with database.begin() as connection:
        _insert_credential(connection, By(account, actor), made)
    return made


def list_credentials(database: Database, account: str) -> list[Issued]:
    """All credentials that the account has ever had, oldest first."""
    columns = credential.c
    issued = (
        select(columns.username, columns.created_at, columns.revoked_at)
        .where(columns.account == account)
        .order_by(columns.created_at, columns.username)
    )
    with database.begin() as connection:
        return [Issued(*row) for row in connection.execute(issued)]


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
    asked_at = monotonic()
    result = database.execute(statement, name.encode())
    if not result.ntuples:
        return None
    account, actor, hash_, was_used = (_text(result, column) for column in range(4))
    quota, scope, namespaces, time, expires_at = (result.get_value(0, n) for n in range(4, 9))
    return StoredSecret(
        account,
        name,
        actor,
        bytes.fromhex(hash_.removeprefix(r"\x")),
        was_used == "t",
        decode_quota(quota) if quota else None,
        _access_of((scope or b"").decode(), decode(namespaces) if namespaces else None),
        float(time or 0),
        float(expires_at) if expires_at else inf,
        asked_at,
    )


def _access_of(scope: str, namespaces: list[str] | None) -> Access:
    access = Access(Scope(scope), tuple(namespaces) if namespaces is not None else None)
    # The same object for all that have these rights, so that requests can compare by identity.
    return ALL_DATA if access == ALL_DATA else access


def _create_key(
    connection: Connection,
    by: By,
    terms: KeyTerms,
    expires_at: ColumnElement[datetime] | datetime | None,
) -> NewKey:
    key_id = new_id()
    key = new_key(key_id)
    access = terms.access
    row = {
        "account": by.account,
        "key_id": key_id,
        "key_hash": hash_secret(key),
        "scope": access.scope,
        "namespaces": list(access.namespaces) if access.namespaces is not None else None,
        "expires_at": expires_at,
        "label": terms.label,
    }
    made = insert(api_key).values(row).returning(*_ISSUED_KEY)
    issued = _issued_key(connection.execute(made).one())
    rights = {"scope": access.scope, "namespaces": access.namespaces}
    details = rights if access != ALL_DATA else None
    audit.record(connection, by, Action.KEY_CREATED, [key_id], details)
    return NewKey(by.account, key_id, key, issued)


def _is_valid_key(account: str) -> ColumnElement[bool]:
    columns = api_key.c
    # Not now(), which is when the transaction began: it may have waited for the row, and the key have ended meanwhile.
    is_alive = or_(columns.expires_at.is_(None), columns.expires_at > func.clock_timestamp())
    return and_(columns.account == account, columns.revoked_at.is_(None), is_alive)


def _no_valid_key(account: str, key_id: str) -> NotFound:
    return NotFound(f"Account '{account}' has no valid key '{key_id}'.")


def _list_keys(database: Database, condition: ColumnElement[bool]) -> list[IssuedKey]:
    columns = api_key.c
    issued = select(*_ISSUED_KEY).where(condition).order_by(columns.created_at, columns.key_id)
    with database.begin() as connection:
        return [_issued_key(row) for row in connection.execute(issued)]


def _issued_key(row: Row[*tuple[Any, ...]]) -> IssuedKey:
    access = _access_of(row.scope, row.namespaces)
    return IssuedKey(row.key_id, row.created_at, row.revoked_at, access, row.expires_at, row.label)


def _insert_credential(connection: Connection, by: By, made: Credential) -> None:
    row = {
        "account": by.account,
        "username": made.username,
        "password_hash": hash_secret(made.password),
    }
    connection.execute(insert(credential).values(row))
    audit.record(connection, by, Action.CREDENTIAL_CREATED, [made.username])


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
