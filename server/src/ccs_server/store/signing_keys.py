"""The keys that sign v2 tokens: Ed25519, kept in the database so that every instance signs and verifies alike.

The newest signs. An older one verifies until the last token that it can have signed has expired: a token's lifetime
after its successor was made.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm
from sqlalchemy import Connection, insert, select, text

from ccs_server.domain.credentials import new_id
from ccs_server.store import audit
from ccs_server.store.audit import INSTALLATION, OPERATOR, SERVICE, Action, By
from ccs_server.store.database import Database
from ccs_server.store.tables import signing_key
from ccs_server.store.wire import Statement

ALGORITHM = "EdDSA"

_FIND = Statement.of(
    "signing_key_find",
    """SELECT key_id, private_key FROM (
        SELECT *, lead(created_at) OVER (ORDER BY created_at, key_id) AS succeeded_at
        FROM signing_key
    ) AS k
    WHERE succeeded_at IS NULL OR succeeded_at > now() - make_interval(secs => $1::bigint)
    ORDER BY created_at DESC, key_id DESC""",
)


@dataclass(frozen=True)
class SigningKey:
    """One Ed25519 key; `key_id` stands as `kid` in the header of the tokens that it signs."""

    key_id: str
    private_key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"SigningKey(key_id={self.key_id!r})"

    @cached_property
    def public_key(self) -> Ed25519PublicKey:
        """What verifies its signatures."""
        return self.private_key.public_key()

    @property
    def jwk(self) -> dict[str, Any]:
        """Its public part as a JSON Web Key (RFC 8037)."""
        public = OKPAlgorithm.to_jwk(self.public_key, as_dict=True)
        return {**public, "kid": self.key_id, "use": "sig", "alg": ALGORITHM}


@dataclass(frozen=True)
class SigningKeys:
    """Every key that a token may still be signed by, the newest first."""

    keys: tuple[SigningKey, ...]

    @property
    def newest(self) -> SigningKey:
        """The one that signs."""
        return self.keys[0]

    def find(self, key_id: str) -> SigningKey | None:
        """The key of this id; None if there is none, or not any more."""
        return next((key for key in self.keys if key.key_id == key_id), None)

    @property
    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public parts as a JSON Web Key Set (RFC 7517)."""
        return {"keys": [key.jwk for key in self.keys]}


def load_signing_keys(database: Database, token_lifetime: int) -> SigningKeys:
    """The keys in force, the first of them made now if there is none; `token_lifetime` is in seconds.

    Raises:
        Unavailable: the database cannot be used now.
    """
    keys = _find(database, token_lifetime)
    if not keys:
        _create_first(database)
        keys = _find(database, token_lifetime)
    return SigningKeys(keys)


def rotate_signing_keys(database: Database, actor: str = OPERATOR) -> str:
    """Makes a key that signs from now on; returns its id. Tokens signed by older ones stay valid."""
    with database.begin() as connection:
        return _create(connection, Action.SIGNING_KEY_ROTATED, actor)


def _find(database: Database, token_lifetime: int) -> tuple[SigningKey, ...]:
    result = database.execute(_FIND, b"%d" % token_lifetime)
    return tuple(
        _read(result.get_value(row, 0) or b"", result.get_value(row, 1) or b"")
        for row in range(result.ntuples)
    )


def _create_first(database: Database) -> None:
    """Makes a key if there is none: of many instances that find none at the same time, one makes it."""
    with database.begin() as connection:
        connection.execute(text("LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE"))
        if connection.scalar(select(signing_key.c.key_id).limit(1)) is None:
            _create(connection, Action.SIGNING_KEY_CREATED, SERVICE)


def _create(connection: Connection, action: Action, actor: str) -> str:
    key_id = new_id()
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    connection.execute(insert(signing_key).values(key_id=key_id, private_key=pem.decode()))
    audit.record(connection, By(INSTALLATION, actor), action, [key_id])
    return key_id


def _read(key_id: bytes, pem: bytes) -> SigningKey:
    private_key = load_pem_private_key(pem, password=None)
    if not isinstance(private_key, Ed25519PrivateKey):
        raise TypeError(f"The signing key {key_id.decode()} in the database is not Ed25519.")
    return SigningKey(key_id.decode(), private_key)
