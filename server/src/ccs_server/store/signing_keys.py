"""The Ed25519 keys that sign v2 tokens. They are stored in the database, so that all instances share them.

The newest key signs. An older key still verifies for one token lifetime after its successor was created, when the last
token that it may have signed has expired. If `CCS_SECRET_KEY` is set, keys are stored encrypted (`encryption`).
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
from sqlalchemy import Connection, insert, select, text, update

from ccs_server.domain.credentials import new_id
from ccs_server.settings import SettingError
from ccs_server.store import audit
from ccs_server.store.audit import INSTALLATION, OPERATOR, SERVICE, Action, By
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.encryption import Encryption
from ccs_server.store.tables import signing_key

ALGORITHM = "EdDSA"

# Held while keys are created or encrypted, so that only one of several instances creates the first key. Readers do not
# wait for it.
_LOCK = text("LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE")

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
    """An Ed25519 key. `key_id` is the `kid` in the header of the tokens that it signs."""

    key_id: str
    private_key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"SigningKey(key_id={self.key_id!r})"

    @cached_property
    def public_key(self) -> Ed25519PublicKey:
        """The public key, which verifies its signatures."""
        return self.private_key.public_key()

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as a JSON Web Key (RFC 8037)."""
        public = OKPAlgorithm.to_jwk(self.public_key, as_dict=True)
        return {**public, "kid": self.key_id, "use": "sig", "alg": ALGORITHM}


@dataclass(frozen=True)
class SigningKeys:
    """All keys that may have signed a token that is still valid, newest first."""

    keys: tuple[SigningKey, ...]

    @property
    def newest(self) -> SigningKey:
        """The key that signs new tokens."""
        return self.keys[0]

    def find(self, key_id: str) -> SigningKey | None:
        """Returns the key with this id; None if there is none, or if it is no longer valid."""
        return next((key for key in self.keys if key.key_id == key_id), None)

    @property
    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JSON Web Key Set (RFC 7517)."""
        return {"keys": [key.jwk for key in self.keys]}


def load_signing_keys(database: Database, token_lifetime: int) -> SigningKeys:
    """Returns the valid keys, and creates the first one if there are none; `token_lifetime` is in seconds.

    Raises:
        Unavailable: the database cannot be used now, or a key is encrypted with a key not in `CCS_SECRET_KEY`.
    """
    keys = _find(database, token_lifetime)
    if not keys:
        _create_first(database)
        keys = _find(database, token_lifetime)
    return SigningKeys(keys)


def check_signing_keys(database: Database, token_lifetime: int) -> None:
    """Checks that every valid key can be decrypted. It is not an error if there are none yet.

    Raises:
        Unavailable: the database cannot be used now, or a key is encrypted with a key not in `CCS_SECRET_KEY`.
    """
    _find(database, token_lifetime)


def rotate_signing_keys(database: Database, actor: str = OPERATOR) -> str:
    """Creates a key that signs from now on, and returns its id. Tokens signed by older keys stay valid.

    Older keys are encrypted again with the first key of `CCS_SECRET_KEY`, which also encrypts the new one.

    Raises:
        Unavailable: a key is encrypted with a key not in `CCS_SECRET_KEY`; nothing has changed.
    """
    encryption = Encryption(database.settings.secret_key)
    with database.begin() as connection:
        connection.execute(_LOCK)
        _encrypt_all(connection, encryption, actor)
        return _create(connection, encryption, Action.SIGNING_KEY_ROTATED, actor)


def encrypt_signing_keys(database: Database, actor: str = OPERATOR) -> list[str]:
    """Encrypts every signing key with the first key of `CCS_SECRET_KEY`; returns the ids of those that changed.

    Raises:
        SettingError: `CCS_SECRET_KEY` is not set.
        Unavailable: a key is encrypted with a key not in `CCS_SECRET_KEY`; nothing has changed.
    """
    if not database.settings.secret_key:
        raise SettingError("Set CCS_SECRET_KEY or CCS_SECRET_KEY_FILE to encrypt signing keys.")
    with database.begin() as connection:
        connection.execute(_LOCK)
        return _encrypt_all(connection, Encryption(database.settings.secret_key), actor)


def _find(database: Database, token_lifetime: int) -> tuple[SigningKey, ...]:
    result = database.execute(_FIND, b"%d" % token_lifetime)
    encryption = Encryption(database.settings.secret_key)
    rows = (
        [(result.get_value(row, column) or b"").decode() for column in range(2)]
        for row in range(result.ntuples)
    )
    return tuple(
        _read(key_id, encryption.decrypt(f"Signing key {key_id}", stored))
        for key_id, stored in rows
    )


def _create_first(database: Database) -> None:
    """Creates a key if there is none. If several instances try at the same time, one of them creates it."""
    with database.begin() as connection:
        connection.execute(_LOCK)
        if connection.scalar(select(signing_key.c.key_id).limit(1)) is None:
            encryption = Encryption(database.settings.secret_key)
            _create(connection, encryption, Action.SIGNING_KEY_CREATED, SERVICE)


def _create(connection: Connection, encryption: Encryption, action: Action, actor: str) -> str:
    key_id = new_id()
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    stored = encryption.encrypt(pem)
    connection.execute(insert(signing_key).values(key_id=key_id, private_key=stored))
    audit.record(connection, By(INSTALLATION, actor), action, [key_id])
    return key_id


def _encrypt_all(connection: Connection, encryption: Encryption, actor: str) -> list[str]:
    encrypted = []
    columns = signing_key.c
    for key_id, stored in connection.execute(select(columns.key_id, columns.private_key)).all():
        pem = encryption.decrypt(f"Signing key {key_id}", stored)
        if not encryption.is_current(stored):
            again = update(signing_key).where(columns.key_id == key_id)
            connection.execute(again.values(private_key=encryption.encrypt(pem)))
            encrypted.append(key_id)
    audit.record(
        connection, By(INSTALLATION, actor), Action.SIGNING_KEY_ENCRYPTED, sorted(encrypted)
    )
    return sorted(encrypted)


def _read(key_id: str, pem: bytes) -> SigningKey:
    private_key = load_pem_private_key(pem, password=None)
    if not isinstance(private_key, Ed25519PrivateKey):
        raise TypeError(f"The signing key {key_id} in the database is not Ed25519.")
    return SigningKey(key_id, private_key)
