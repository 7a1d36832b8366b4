"""Encryption of private signing keys by `CCS_SECRET_KEY`, so that who reads the database cannot sign tokens.

The format is Fernet's (AES-128-CBC with HMAC-SHA256, https://github.com/fernet/spec). It is no guard against who can
write to the database: a key that is not encrypted is accepted too, so that the setting can be given later.
"""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ccs_server.domain.errors import Unavailable

# What is not encrypted begins with this; a Fernet token cannot.
_PEM = "-----BEGIN"


class Encryption:
    """Encrypts with the first of `keys` and decrypts with any; without keys, leaves private keys as they are.

    Args:
        keys: 32 bytes each.
    """

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        fernets = [Fernet(urlsafe_b64encode(key)) for key in keys]
        self._first = fernets[0] if fernets else None
        self._any = MultiFernet(fernets) if fernets else None

    def encrypt(self, pem: bytes) -> str:
        """A private key as it is stored."""
        return (self._first.encrypt(pem) if self._first else pem).decode()

    def decrypt(self, key_id: str, stored: str) -> bytes:
        """The private key that was stored, encrypted or not.

        Raises:
            Unavailable: it is encrypted with none of the keys; the message names it by `key_id`.
        """
        if stored.startswith(_PEM):
            return stored.encode()
        try:
            if self._any:
                return self._any.decrypt(stored)
        except InvalidToken:
            pass
        raise Unavailable(
            f"Signing key {key_id} is encrypted with a key that is not in CCS_SECRET_KEY; add it there."
        )

    def is_current(self, stored: str) -> bool:
        """Whether it is stored as `encrypt` would store it now: with the first key, or plain if there is none."""
        if self._first is None:
            return stored.startswith(_PEM)
        try:
            self._first.decrypt(stored)
        except InvalidToken:
            return False
        return True
