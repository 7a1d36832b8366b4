"""`DocumentClient`: version 2 of the service, one method for each of its operations."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Self, TypeVar

import requests

from ccs_sdk import _json, _paths, _wire
from ccs_sdk._auth import NoAuth, TokenCache, basic_auth, bearer_auth
from ccs_sdk._deadline import Deadline
from ccs_sdk._json import JSON, JSONObject, Value
from ccs_sdk._names import Names, check_namespace, check_properties, check_segment, check_session
from ccs_sdk._options import DEFAULT_POOL_SIZE, DEFAULT_RETRY, DEFAULT_TIMEOUT, option, setting
from ccs_sdk._process import PerProcess
from ccs_sdk._reading import Answer, read
from ccs_sdk._retry import OnRetry, RetryPolicy
from ccs_sdk._transport import Transport
from ccs_sdk._ttl import whole_seconds
from ccs_sdk.errors import AuthenticationError, InvalidArgumentError
from ccs_sdk.models import Document, DocumentReceipt, Token

T = TypeVar("T")

_DOCUMENTS = "/v2/context/document"
_LOGIN = "/v2/authenticate/login"


class DocumentClient:
    """A client of version 2, with a user and a password.

    Threads may share it, and so may the processes of a server that forks: each logs in and opens
    connections of its own. Close it, or use it in a `with`; after that every call is a
    `ClientClosedError`. It cannot be pickled, because it holds the password.

    Version 2 sees the properties of one namespace and session as one document. It reads and writes
    the same store as version 1. The client logs in when it is first used, keeps the token, renews
    it before it expires and, once, when it is refused.

    Where a method takes `session_id`, leaving it out means the namespace itself.

    Every method raises `InvalidArgumentError` before anything is sent if an argument cannot be sent
    as it is meant; after that, one of the `StatusError` and `TransportError` classes if the service
    cannot be reached or says no, `BadRequestError` for example to a name that breaks a rule.

    Args:
        base_url: Where the service is; else `CCS_URL`.
        account_id: The account; else `CCS_ACCOUNT`.
        username: A user of the account; else `CCS_USERNAME`.
        password: The user's password; else `CCS_PASSWORD`.
        timeout: See `ContextClient`, as for all that follow.
        retry: When to try again.
        on_retry: Called before each retry.
        pool_size: How many connections are kept open.
        decimals: Read numbers with a point as `decimal.Decimal`.
        http_session: A `requests.Session` to send with.

    Raises:
        ConfigurationError: A setting is missing or cannot work.
    """

    def __init__(  # noqa: PLR0913 - every option is written out
        self,
        base_url: str | None = None,
        account_id: str | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        timeout: float | tuple[float, float] = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = DEFAULT_RETRY,
        on_retry: OnRetry | None = None,
        pool_size: int = DEFAULT_POOL_SIZE,
        decimals: bool = False,
        http_session: requests.Session | None = None,
    ) -> None:
        self._basic_auth = basic_auth(
            setting(username, "username", "CCS_USERNAME"),
            setting(password, "password", "CCS_PASSWORD"),
        )
        self._transport = Transport(
            setting(base_url, "base_url", "CCS_URL"),
            timeout=timeout,
            retry=retry,
            on_retry=on_retry,
            pool_size=pool_size,
            http_session=http_session,
        )
        self._account_id = check_segment(
            setting(account_id, "account_id", "CCS_ACCOUNT"), "account_id"
        )
        self._decimals = option("decimals", decimals, bool)
        self._tokens = PerProcess(TokenCache)

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
        return self._log_in(self._transport.deadline(), always=True)

    def signing_keys(self) -> list[dict[str, Value]]:
        """The public keys, as JSON Web Keys, that verify the service's tokens. They are no secret."""
        path = "/.well-known/jwks.json"
        answer = self._transport.call("GET", path, NoAuth(), None, self._transport.deadline())
        return self._read(answer, _wire.json_web_keys)

    def save(
        self,
        namespace: str,
        payload: JSONObject,
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
        _json.check_object(payload)
        more: dict[str, JSON] = {"payload": payload}
        if ttl is not None:
            more["ttlSeconds"] = whole_seconds(ttl)
        return self._receipt("POST", "/create", self._body(namespace, session_id, more))

    def get(self, namespace: str, *, session_id: str | None = None) -> Document:
        """The document with all of its live properties.

        Raises:
            NotFoundError: It has none.
        """
        place = [self._account_id, check_namespace(namespace)]
        if session_id is not None:
            place.append(check_session(session_id))
        path = "".join(f"/{_paths.segment(name)}" for name in place)
        return self._read(self._call("GET", _DOCUMENTS + path), _wire.document)

    def get_properties(
        self, namespace: str, names: Names, *, session_id: str | None = None
    ) -> dict[str, Value]:
        """Values by name, of those of `names` that exist."""
        filters = [f"{namespace}.{name}" for name in check_properties(names)]
        body = self._body(namespace, session_id, {"filter": filters})
        answer = self._call("POST", f"{_DOCUMENTS}/properties", body)
        found = self._read(answer, _wire.properties)
        return {key.removeprefix(f"{namespace}."): value for key, value in found.items()}

    def delete(self, namespace: str, *, session_id: str | None = None) -> DocumentReceipt:
        """Deletes the whole document. Absent is fine."""
        return self._receipt("DELETE", "/delete", self._body(namespace, session_id, {}))

    def delete_properties(
        self, namespace: str, names: Names, *, session_id: str | None = None
    ) -> DocumentReceipt:
        """Deletes the properties `names`, at least one; whatever their names. Absent is fine.

        Raises:
            InvalidArgumentError: Also if `names` is empty, which the service would take for the
                whole document.
        """
        doomed = check_properties(names)
        if not doomed:
            raise InvalidArgumentError(
                "Name at least one property; delete() deletes the whole document."
            )
        body = self._body(namespace, session_id, {"propertyToDelete": doomed})
        return self._receipt("DELETE", "/property/delete", body)

    def _body(self, namespace: str, session_id: str | None, more: Mapping[str, JSON]) -> bytes:
        body: dict[str, JSON] = {
            "accountId": self._account_id,
            "nameSpace": check_namespace(namespace),
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
        token = self._token(deadline)
        try:
            return self._transport.call(method, path, bearer_auth(token), body, deadline)
        except AuthenticationError:
            self._tokens.get().drop(token)
        auth = bearer_auth(self._token(deadline))
        return self._transport.call(method, path, auth, body, deadline)

    def _token(self, deadline: Deadline) -> Token:
        return self._tokens.get().current() or self._log_in(deadline)

    def _log_in(self, deadline: Deadline, *, always: bool = False) -> Token:
        send = self._transport.attempt("POST", _LOGIN, self._basic_auth, None, deadline)
        tokens = self._tokens.get()

        def attempt() -> Token:
            patience = self._transport.patience(deadline)
            return tokens.renewed(lambda: self._read(send(), _wire.token), patience, always=always)

        return self._transport.retried("POST", _LOGIN, attempt, deadline)
