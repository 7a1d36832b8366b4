"""Secrets of accounts: random, recognisable by their prefix, and known to the store by their SHA-256 alone.

They are drawn, never chosen, so nothing can be guessed and a plain hash is enough; passwords of people would need more.
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
    """A new public name of a secret."""
    return _random(_ID_LENGTH)


def is_id(text: str) -> bool:
    """Whether `text` has the form of a public name; no other text can name a key or a user."""
    return _id.fullmatch(text) is not None


def new_key(key_id: str) -> str:
    """A new v1 key, `ccs_<key_id>_<secret>`."""
    return f"ccs_{key_id}_{_random(_SECRET_LENGTH)}"


def new_password() -> str:
    """A new v2 password, `ccs_<secret>`."""
    return f"ccs_{_random(_SECRET_LENGTH)}"


def key_id_of(key: str) -> str | None:
    """The public part of a v1 key; None if `key` does not look like one."""
    match = _key.fullmatch(key)
    return match[1] if match else None


def hash_secret(secret: str) -> bytes:
    """What the store keeps of a key or password."""
    return sha256(secret.encode(errors="surrogatepass")).digest()


def is_secret(given: str, stored_hash: bytes) -> bool:
    """Whether `given` is the key or password that `stored_hash` was made from, in constant time."""
    return hmac.compare_digest(hash_secret(given), stored_hash)
