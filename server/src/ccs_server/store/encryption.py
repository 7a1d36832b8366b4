"""Encrypts private signing keys, and the secrets of webhooks, with `CCS_SECRET_KEY`.

Read access to the database is then not enough to sign tokens and webhooks. The format is Fernet (AES-128-CBC with
HMAC-SHA256, https://github.com/fernet/spec). It does not protect against write access to the database: unencrypted
secrets are accepted too, so that the setting can be introduced later.
"""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ccs_server.domain.errors import Unavailable
from ccs_server.domain.webhooks import SECRET_PREFIX

# Unencrypted ones begin with one of these; a Fernet token cannot.
_PLAIN = ("-----BEGIN", SECRET_PREFIX)


class Encryption:
    """Encrypts with the first of `keys`, and decrypts with any of them. Without keys, it does not encrypt.

    Args:
        keys: 32 bytes each.
    """

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        fernets = [Fernet(urlsafe_b64encode(key)) for key in keys]
        self._first = fernets[0] if fernets else None
        self._any = MultiFernet(fernets) if fernets else None

    def encrypt(self, secret: bytes) -> str:
        """Returns a secret in the form in which it is stored."""
        return (self._first.encrypt(secret) if self._first else secret).decode()

    def decrypt(self, name: str, stored: str) -> bytes:
        """Returns a secret from its stored form, whether that is encrypted or not.

        Raises:
            Unavailable: it is not encrypted with any of the keys. The message begins with `name`, what the secret is.
        """
        if stored.startswith(_PLAIN):
            return stored.encode()
        try:
            if self._any:
                return self._any.decrypt(stored)
        except InvalidToken:
            pass
        raise Unavailable(
            f"{name} is encrypted with a key that is not in CCS_SECRET_KEY; add it there."
        )

    def is_current(self, stored: str) -> bool:
        """Whether `stored` is encrypted with the first key, or unencrypted if there are no keys."""
        if self._first is None:
            return stored.startswith(_PLAIN)
        try:
            self._first.decrypt(stored)
        except InvalidToken:
            return False
        return True
