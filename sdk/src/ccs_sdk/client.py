"""`ContextClient`: version 1 of the service, one method for each of its operations."""

from datetime import timedelta
from typing import Self

import requests

from ccs_sdk import _paths
from ccs_sdk._auth import api_key_auth
from ccs_sdk._json import JSON, JSONObject, Value
from ccs_sdk._names import Names, check_namespace, check_segment, check_session
from ccs_sdk._options import DEFAULT_POOL_SIZE, DEFAULT_RETRY, DEFAULT_TIMEOUT, option, setting
from ccs_sdk._pages import DEFAULT_PAGE_SIZE, Pages
from ccs_sdk._retry import OnRetry, RetryPolicy
from ccs_sdk._transport import Transport
from ccs_sdk._v1 import Account
from ccs_sdk.handles import NamespaceHandle, PropertiesHandle
from ccs_sdk.models import Namespace, SessionProperties, SessionTTL
from ccs_sdk.scopes import Scopes


class ContextClient:
    """A client of version 1, with the account's API key.

    Threads may share it, and so may the processes of a server that forks: each opens connections of
    its own. Close it, or use it in a `with`; after that every call is a `ClientClosedError`. It
    cannot be pickled, because it holds the key.

    The methods here are the operations of the service. To work with one namespace or one session,
    `namespace()` and `scopes()` give handles that read better:

    ```python
    with ContextClient("http://127.0.0.1:8000", "acme", api_key="…") as client:
        call = client.namespace("airline").session("conv-1")
        call["intent"] = "rebook"
    ```

    Where a method takes `session_id`, leaving it out means the namespace itself.

    Every method raises `InvalidArgumentError` before anything is sent if an argument cannot be sent
    as it is meant; after that, one of the `StatusError` and `TransportError` classes if the service
    cannot be reached or says no, `BadRequestError` for example to a name that breaks a rule.

    Args:
        base_url: Where the service is; else `CCS_URL`.
        account_id: The account; else `CCS_ACCOUNT`.
        api_key: The account's key; else `CCS_API_KEY`.
        timeout: Seconds to wait for a connection and then for each part of the answer: one number
            for both, or a pair `(connect, read)`; each at most 86,400, a day.
        retry: When to try again; None never retries.
        on_retry: Called with a `RetryEvent` before each retry, for logs and metrics.
        pool_size: How many connections are kept open; give it the number of threads that share the
            client. More threads still work, with connections that are closed after use.
        decimals: Read numbers with a point or an exponent as `decimal.Decimal`, to their last
            digit, instead of as floats.
        http_session: A `requests.Session` to send with, for proxies, certificates or tests. It
            stays yours: its own retries and pool are as you set them, and `close()` leaves it open.
            What it says goes before what the environment says. Used before a fork, it cannot be
            used after it.

    Raises:
        ConfigurationError: A setting is missing or cannot work.
    """

    def __init__(  # noqa: PLR0913 - every option is written out
        self,
        base_url: str | None = None,
        account_id: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | tuple[float, float] = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = DEFAULT_RETRY,
        on_retry: OnRetry | None = None,
        pool_size: int = DEFAULT_POOL_SIZE,
        decimals: bool = False,
        http_session: requests.Session | None = None,
    ) -> None:
        auth = api_key_auth(setting(api_key, "api_key", "CCS_API_KEY"))
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
        path = f"/v1/account/{_paths.segment(self._account_id)}"
        self._account = Account(self._transport, path, auth, option("decimals", decimals, bool))

    def __repr__(self) -> str:
        return f"ContextClient({self._transport.base_url!r}, {self._account_id!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections, unless they belong to an `http_session` of yours."""
        self._transport.close()

    # Handles

    def namespace(self, namespace: str) -> NamespaceHandle:
        """A handle of the namespace; nothing is sent."""
        return NamespaceHandle(self._account, namespace)

    def scopes(
        self, namespace: str, *, user_id: str | None = None, conversation_id: str | None = None
    ) -> Scopes:
        """Handles of a bot's scopes: global, one user's, one conversation's; nothing is sent."""
        return Scopes(self.namespace(namespace), user_id, conversation_id)

    # Namespaces

    def register_namespace(self, namespace: str, *, ttl: timedelta | int | None = None) -> None:
        """Registers a namespace, and sets its TTL if one is given.

        Registering twice is harmless, and so is not registering at all: saving a property brings
        its namespace into being.

        Args:
            namespace: Its name.
            ttl: How long properties live after each write that comes from now on, in whole seconds;
                0 is forever. None leaves what is set.
        """
        self.namespace(namespace).register(ttl=ttl)

    def list_namespaces(self) -> list[Namespace]:
        """Every namespace that was registered or brought into being, and not deleted."""
        return self._account.list_namespaces()

    def delete_namespace(self, namespace: str) -> None:
        """Deletes a namespace, its properties, its sessions and every TTL in it. Absent is fine."""
        self.namespace(namespace).drop()

    # Properties

    def set_properties(
        self, namespace: str, properties: JSONObject, *, session_id: str | None = None
    ) -> None:
        """Saves each of `properties`, all or none; those that are not named stay."""
        self._place(namespace, session_id).update(properties)

    def set_property(
        self, namespace: str, name: str, value: JSON, *, session_id: str | None = None
    ) -> None:
        """Saves one property. None is a value (`null`) that is stored, not a deletion."""
        self._place(namespace, session_id).set(name, value)

    def get_properties(
        self, namespace: str, *, only: Names | None = None, session_id: str | None = None
    ) -> dict[str, Value]:
        """Values by name: of all properties, or of those named in `only` that exist."""
        place = self._place(namespace, session_id)
        return place.all() if only is None else place.only(only)

    def get_property(self, namespace: str, name: str, *, session_id: str | None = None) -> Value:
        """The value of one property.

        Raises:
            PropertyNotFoundError: It is not there, or has expired.
        """
        return self._place(namespace, session_id)[name]

    def delete_properties(self, namespace: str, *, session_id: str | None = None) -> None:
        """Deletes all properties of the namespace itself or of the session, and keeps its TTL."""
        self._place(namespace, session_id).clear()

    def delete_property(self, namespace: str, name: str, *, session_id: str | None = None) -> None:
        """Deletes one property. Absent is fine.

        Raises:
            InvalidArgumentError: Also for the names `.` and `..`: a path cannot carry them, and
                version 1 deletes by path only. `DocumentClient.delete_properties` can.
        """
        self._place(namespace, session_id).delete(name)

    # Sessions

    def iter_sessions(self, namespace: str, *, page_size: int = DEFAULT_PAGE_SIZE) -> Pages[str]:
        """The ids of all sessions with live properties, in order.

        `DEFAULT_SESSION` among them stands for the namespace itself.

        Args:
            namespace: Its name.
            page_size: How many to ask for at a time, 1 to 1,000.
        """
        return self.namespace(namespace).iter_sessions(page_size=page_size)

    def iter_session_properties(
        self, namespace: str, *, page_size: int = DEFAULT_PAGE_SIZE
    ) -> Pages[SessionProperties]:
        """All sessions with their live properties, in the order of their ids.

        Args:
            namespace: Its name.
            page_size: How many to ask for at a time, 1 to 1,000; a session may hold 800,000
                characters.
        """
        return self.namespace(namespace).iter_session_properties(page_size=page_size)

    def set_session_ttl(
        self, namespace: str, session_id: str, ttl: timedelta | int | None = None
    ) -> None:
        """Sets a TTL of the session's own, which goes before the namespace's.

        Args:
            namespace: Its name.
            session_id: The session, which need not exist yet.
            ttl: How long its properties live after each write that comes from now on, in whole
                seconds; 0 is forever, whatever the namespace says. None leaves what is set.
        """
        self._account.set_session_ttl(check_namespace(namespace), check_session(session_id), ttl)

    def list_session_ttls(self, namespace: str) -> list[SessionTTL]:
        """The sessions that have a TTL of their own."""
        return self.namespace(namespace).list_session_ttls()

    def delete_session(self, namespace: str, session_id: str) -> None:
        """Deletes a session's properties and its TTL. Absent is fine."""
        self.namespace(namespace).session(session_id).drop()

    def _place(self, namespace: str, session_id: str | None) -> PropertiesHandle:
        return PropertiesHandle(self._account, namespace, session_id)
