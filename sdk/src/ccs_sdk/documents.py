"""`DocumentClient`: version 2 of the service, one method for each of its operations."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Self, TypeVar, Unpack

from ccs_sdk import _json, _paths, _wire
from ccs_sdk._auth import NoAuth, TokenCache, basic_auth, bearer_auth
from ccs_sdk._deadline import Deadline
from ccs_sdk._json import JSON, Value
from ccs_sdk._names import check_account, check_document_namespace, check_property, check_session
from ccs_sdk._options import ClientOptions, setting
from ccs_sdk._reading import Answer, read
from ccs_sdk._transport import Transport
from ccs_sdk._ttl import ttl_seconds
from ccs_sdk.errors import AuthenticationError, InvalidArgumentError
from ccs_sdk.models import Document, DocumentReceipt, Token

T = TypeVar("T")

_DOCUMENTS = "/v2/context/document"


class DocumentClient:
    """A client of version 2, with a user and a password.

    Threads may share it. Close it, or use it in a `with`.

    Version 2 sees the properties of one namespace and session as one document. It reads and writes
    the same store as version 1. The client logs in when it is first used, keeps the token, renews
    it before it expires and, once, when it is refused.

    Where a method takes `session_id`, leaving it out means the namespace itself.

    Every method raises `InvalidArgumentError` before anything is sent if a name, a number or a
    value breaks a rule; after that, one of the `StatusError` and `TransportError` classes if the
    service cannot be reached or says no.

    Args:
        base_url: Where the service is; else `CCS_URL`.
        account_id: The account; else `CCS_ACCOUNT`.
        username: A user of the account; else `CCS_USERNAME`.
        password: The user's password; else `CCS_PASSWORD`.
        options: See `ClientOptions`.

    Raises:
        ConfigurationError: A setting is missing or cannot work.
    """

    def __init__(
        self,
        base_url: str | None = None,
        account_id: str | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._basic_auth = basic_auth(
            setting(username, "username", "CCS_USERNAME"),
            setting(password, "password", "CCS_PASSWORD"),
        )
        self._transport = Transport(setting(base_url, "base_url", "CCS_URL"), **options)
        self._account_id = check_account(setting(account_id, "account_id", "CCS_ACCOUNT"))
        self._decimals = options.get("decimals", False)
        self._tokens = TokenCache(self._fetch_token)

    def __repr__(self) -> str:
        return f"DocumentClient({self._transport.base_url!r}, {self._account_id!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections, unless they belong to an `http_session` of yours."""
        self._transport.close()

    def login(self) -> Token:
        """Logs in now and returns the new token.

        There is no need to, but a program that starts may want to prove its credentials.

        Raises:
            AuthenticationError: The user or the password is wrong.
        """
        return self._tokens.renewed(self._transport.deadline())

    def signing_keys(self) -> list[dict[str, Value]]:
        """The public keys, as JSON Web Keys, that verify the service's tokens. They are no secret."""
        path = "/.well-known/jwks.json"
        answer = self._transport.call("GET", path, NoAuth(), None, self._transport.deadline())
        return self._read(answer, _wire.json_web_keys)

    def save(
        self,
        namespace: str,
        payload: Mapping[str, JSON],
        *,
        session_id: str | None = None,
        ttl: timedelta | int | None = None,
    ) -> DocumentReceipt:
        """Saves each property of `payload`, all or none; those that are not named stay.

        Args:
            namespace: Letters, digits and `_`; version 2 knows no hyphen.
            payload: Values by name.
            session_id: The session.
            ttl: From now, in whole seconds, for every property of the document. None or 0: the TTL
                in force; if that is forever, the service's maximum retention, which is also the
                most it grants.
        """
        for name in payload:
            check_property(name)
        more: dict[str, JSON] = {"payload": payload}
        if ttl is not None:
            more["ttlSeconds"] = ttl_seconds(ttl)
        return self._receipt("POST", "/create", self._body(namespace, session_id, more))

    def get(self, namespace: str, *, session_id: str | None = None) -> Document:
        """The document with all of its live properties.

        Raises:
            NotFoundError: It has none.
        """
        path = f"{_DOCUMENTS}/{self._account_id}/{check_document_namespace(namespace)}"
        if session_id is not None:
            path += f"/{_paths.segment(check_session(session_id))}"
        return self._read(self._call("GET", path), _wire.document)

    def get_properties(
        self, namespace: str, names: Iterable[str], *, session_id: str | None = None
    ) -> dict[str, Value]:
        """Values by name, of those of `names` that exist."""
        filters = [f"{namespace}.{check_property(name)}" for name in names]
        body = self._body(namespace, session_id, {"filter": filters})
        answer = self._call("POST", f"{_DOCUMENTS}/properties", body)
        found = self._read(answer, _wire.properties)
        return {key.removeprefix(f"{namespace}."): value for key, value in found.items()}

    def delete(self, namespace: str, *, session_id: str | None = None) -> DocumentReceipt:
        """Deletes the whole document. Absent is fine."""
        return self._receipt("DELETE", "/delete", self._body(namespace, session_id, {}))

    def delete_properties(
        self, namespace: str, names: Iterable[str], *, session_id: str | None = None
    ) -> DocumentReceipt:
        """Deletes the properties `names`, at least one; whatever their names. Absent is fine.

        Raises:
            InvalidArgumentError: Also if `names` is empty, which the service would take for the
                whole document.
        """
        doomed = [check_property(name) for name in names]
        if not doomed:
            raise InvalidArgumentError(
                "Name at least one property; delete() deletes the whole document."
            )
        body = self._body(namespace, session_id, {"propertyToDelete": doomed})
        return self._receipt("DELETE", "/property/delete", body)

    def _body(self, namespace: str, session_id: str | None, more: Mapping[str, JSON]) -> bytes:
        body: dict[str, JSON] = {
            "accountId": self._account_id,
            "nameSpace": check_document_namespace(namespace),
            **more,
        }
        if session_id is not None:
            body["sessionId"] = check_session(session_id)
        return _json.encode(body, wrapping=2)

    def _receipt(self, method: str, path: str, body: bytes) -> DocumentReceipt:
        answer = self._call(method, _DOCUMENTS + path, body)
        return self._read(answer, _wire.document_receipt)

    def _read(self, answer: Answer, convert: Callable[[Value], T]) -> T:
        return read(answer, convert, decimals=self._decimals)

    def _call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Sends with the token; once more, with a new one, if that is refused before its time."""
        deadline = self._transport.deadline()
        token = self._tokens.current(deadline)
        try:
            return self._transport.call(method, path, bearer_auth(token), body, deadline)
        except AuthenticationError:
            self._tokens.drop(token)
        auth = bearer_auth(self._tokens.current(deadline))
        return self._transport.call(method, path, auth, body, deadline)

    def _fetch_token(self, deadline: Deadline) -> Token:
        login = "/v2/authenticate/login"
        answer = self._transport.call("POST", login, self._basic_auth, None, deadline)
        return self._read(answer, _wire.token)
