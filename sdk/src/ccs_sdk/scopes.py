# Generated from aio/scopes.py by sdk/generate.py. Edit that file.
"""The three usual scopes of bots: global, user and conversation.

They are a convention for session ids, shared by all programs that use a namespace:

| scope | stored in |
|---|---|
| global | the namespace's own properties |
| user | the session `user:` + the user's id |
| conversation | the session `conversation:` + the conversation's id |

The prefixes distinguish the user `7` from the conversation `7`.
"""

from ccs_sdk._names import check_segment
from ccs_sdk.errors import ConfigurationError
from ccs_sdk.handles import NamespaceHandle, SessionHandle

USER_PREFIX = "user:"
CONVERSATION_PREFIX = "conversation:"


class Scopes:
    """The scopes of one bot in one namespace. Each scope is a handle of properties."""

    __slots__ = ("_conversation_id", "_namespace", "_user_id")

    def __init__(
        self, namespace: NamespaceHandle, user_id: str | None, conversation_id: str | None
    ) -> None:
        self._namespace = namespace
        self._user_id = _check_id(user_id, "user_id")
        self._conversation_id = _check_id(conversation_id, "conversation_id")

    def __repr__(self) -> str:
        return (
            f"Scopes({self._namespace.name!r}, user_id={self._user_id!r},"
            f" conversation_id={self._conversation_id!r})"
        )

    @property
    def global_(self) -> NamespaceHandle:
        """The properties that all bots of the namespace share."""
        return self._namespace

    @property
    def user(self) -> SessionHandle:
        """The properties of the user, in all conversations.

        Raises:
            ConfigurationError: No `user_id` was given.
        """
        return self._session(USER_PREFIX, self._user_id, "user_id")

    @property
    def conversation(self) -> SessionHandle:
        """The properties of this conversation.

        Raises:
            ConfigurationError: No `conversation_id` was given.
        """
        return self._session(CONVERSATION_PREFIX, self._conversation_id, "conversation_id")

    def _session(self, prefix: str, identifier: str | None, argument: str) -> SessionHandle:
        if identifier is None:
            raise ConfigurationError(f"Give {argument} to scopes() to use this scope.")
        return self._namespace.session(prefix + identifier)


def _check_id(identifier: object, what: str) -> str | None:
    return None if identifier is None else check_segment(identifier, f"A {what}")
