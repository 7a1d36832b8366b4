"""Generates and verifies the secrets of accounts. They are random, begin with `ccs_`, and are stored as SHA-256 hashes.

A plain hash is enough because secrets are generated with 256 bits of entropy. Passwords that people choose would need a
slow hash.
"""

import hmac
import re
import secrets
import string
from hashlib import sha256

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 12
_SECRET_LENGTH = 43  # of 62 characters: 256 bits

_id = re.compile(rf"[A-Za-z0-9]{{{_ID_LENGTH}}}")
_key = re.compile(rf"ccs_({_id.pattern})_[A-Za-z0-9]{{{_SECRET_LENGTH}}}")


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_id() -> str:
    """Generates a key id or user name, which is not secret."""
    return _random(_ID_LENGTH)


def is_id(text: str) -> bool:
    """Whether `text` has the form of a key id or user name."""
    return _id.fullmatch(text) is not None


def new_key(key_id: str) -> str:
    """Generates a v1 key, `ccs_<key_id>_<secret>`."""
    return f"ccs_{key_id}_{_random(_SECRET_LENGTH)}"


def new_password() -> str:
    """Generates a v2 password, `ccs_<secret>`."""
    return f"ccs_{_random(_SECRET_LENGTH)}"


def key_id_of(key: str) -> str | None:
    """Returns the key id in a v1 key; None if `key` does not have the form of one."""
    match = _key.fullmatch(key)
    return match[1] if match else None


def hash_secret(secret: str) -> bytes:
    """Returns the hash of a key or password, which is stored instead of it."""
    return sha256(secret.encode(errors="surrogatepass")).digest()


def is_secret(given: str, stored_hash: bytes) -> bool:
    """Whether `stored_hash` is the hash of `given`. The comparison takes constant time."""
    return hmac.compare_digest(hash_secret(given), stored_hash)
