# Generated from aio/keys.py by sdk/generate.py. Edit that file.
"""The keys of an account: made, listed, replaced and deleted with a key of the scope `admin`."""

import builtins
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal

from ccs_sdk import _paths, _wire
from ccs_sdk._ext import Extension
from ccs_sdk._json import JSON
from ccs_sdk._names import Names, check_namespaces, check_segment, check_text
from ccs_sdk._ttl import TTL, whole_seconds
from ccs_sdk.models import APIKey, NewAPIKey

DEFAULT_OVERLAP: Final = timedelta(days=1)


class Keys:
    """The keys of the account. Every method needs a client whose key has the scope `admin`."""

    __slots__ = ("_extension",)

    def __init__(self, extension: Extension) -> None:
        self._extension = extension

    def __repr__(self) -> str:
        return f"<Keys of {self._extension.path}>"

    def create(
        self,
        *,
        scope: Literal["read", "write", "admin"],
        label: str | None = None,
        namespaces: Names | None = None,
        expires_in: TTL | None = None,
    ) -> NewAPIKey:
        """Makes a key and returns it. The service tells the key this one time.

        Args:
            scope: `read`, `write` (all of version 1 and of conversations) or `admin` (keys as well).
            label: What the key is for.
            namespaces: The namespaces that it may use; a `*` at the end of one stands for any
                characters. None for all. A key of the scope `admin` cannot be limited.
            expires_in: How long it is valid, as a timedelta or in whole seconds; None for ever.
        """
        body: dict[str, JSON] = {"scope": check_text(scope, "A scope")}
        if label is not None:
            body["label"] = check_text(label, "A label")
        if namespaces is not None:
            body["ns"] = check_namespaces(namespaces)
        if expires_in is not None:
            body["expiresIn"] = whole_seconds(expires_in, "expires_in")
        return self._new("/keys", body)

    def list(self) -> builtins.list[APIKey]:
        """Returns the keys of the account, without their secrets."""
        return self._extension.get("/keys", _wire.api_keys)

    def delete(self, key_id: str) -> None:
        """Revokes a key, if it exists. It stops working within seconds."""
        self._extension.delete(_path(key_id))

    def rotate(self, key_id: str, *, overlap: TTL = DEFAULT_OVERLAP) -> NewAPIKey:
        """Makes a key with the same rights, and ends the old one after the overlap.

        Args:
            key_id: The key to replace.
            overlap: How long both are valid, as a timedelta or in whole seconds, at most a week. Do
                not rotate the client's own key without one: if the response is lost, the new key is.
        """
        return self._new(
            f"{_path(key_id)}/rotate", {"overlap": whole_seconds(overlap, "An overlap")}
        )

    def _new(self, path: str, body: Mapping[str, JSON]) -> NewAPIKey:
        """Makes a key, and another one instead if the response with the secret was lost.

        The service never stores a secret, so a repeated request gets the new key's id alone. Rotating
        that key tells a secret again.
        """
        info, secret = self._extension.post(path, body, _wire.new_api_key, keyed=True)
        while secret is None:
            lost = info
            info, secret = self._extension.post(
                f"{_path(lost.key_id)}/rotate", {"overlap": 0}, _wire.new_api_key, keyed=True
            )
            self.delete(lost.key_id)
        return NewAPIKey(info, secret)


def _path(key_id: object) -> str:
    return f"/keys/{_paths.segment(check_segment(key_id, 'A key id'))}"
