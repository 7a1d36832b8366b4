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
from psycopg.pq.abc import PGresult

from ccs_server.domain.credentials import new_id
from ccs_server.store.database import Database
from ccs_server.store.wire import Statement, Wire

ALGORITHM = "EdDSA"

# One maker at a time: of many instances that find no key, one makes it.
_LOCK = Statement.of("signing_key_lock", "LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE")

_INSERT = Statement.of(
    "signing_key_insert", "INSERT INTO signing_key (key_id, private_key) VALUES ($1, $2)"
)

_LIST = Statement.of(
    "signing_key_list",
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
    lifetime = b"%d" % token_lifetime
    keys = _keys(database.execute(_LIST, lifetime))
    if not keys:
        with database.transaction() as wire:
            wire.execute(_LOCK)
            keys = _keys(wire.execute(_LIST, (lifetime,)))
            if not keys:
                keys = (_make(wire),)
    return SigningKeys(keys)


def rotate_signing_keys(database: Database) -> str:
    """Makes a key that signs from now on; returns its id. Tokens signed by older ones stay valid."""
    with database.transaction() as wire:
        wire.execute(_LOCK)
        return _make(wire).key_id


def _make(wire: Wire) -> SigningKey:
    key = SigningKey(new_id(), Ed25519PrivateKey.generate())
    pem = key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    wire.execute(_INSERT, (key.key_id.encode(), pem))
    return key


def _keys(result: PGresult) -> tuple[SigningKey, ...]:
    return tuple(
        _read(result.get_value(row, 0) or b"", result.get_value(row, 1) or b"")
        for row in range(result.ntuples)
    )


def _read(key_id: bytes, pem: bytes) -> SigningKey:
    private_key = load_pem_private_key(pem, password=None)
    if not isinstance(private_key, Ed25519PrivateKey):
        raise TypeError(f"The signing key {key_id.decode()} in the database is not Ed25519.")
    return SigningKey(key_id.decode(), private_key)
