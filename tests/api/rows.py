"""The rows of the contract's tables as data, for tests of rules that apply to all of them."""

from typing import NamedTuple
from urllib.parse import quote


class Call(NamedTuple):
    """One request: its method, its path below the account (v1) or below `/v2`, its JSON body."""

    method: str
    path: str
    body: dict[str, object] | int | None = None

    @property
    def arguments(self) -> dict[str, object]:
        """The keyword arguments that make `requests` send the body."""
        return {} if self.body is None else {"json": self.body}

    @property
    def success(self) -> int:
        """The only status that the official client accepts."""
        return 200 if self.method == "GET" else 204


def v1_rows(namespace: str = "orders", session: str = "s1", name: str = "size") -> dict[str, Call]:
    """Returns rows 1 to 20, each as a valid request for these names."""
    ns, s, p = (quote(part, safe="") for part in (namespace, session, name))
    return {
        "1 POST": Call("POST", "?ttlSecond=60", {"name": namespace}),
        "2 GET": Call("GET", ""),
        "3 DELETE ns": Call("DELETE", f"/{ns}"),
        "4 PATCH ns/properties": Call("PATCH", f"/{ns}/properties", {name: 1}),
        "5 PUT ns/properties/p": Call("PUT", f"/{ns}/properties/{p}", 1),
        "6 GET ns/properties": Call("GET", f"/{ns}/properties"),
        "7 GET ns/properties/p": Call("GET", f"/{ns}/properties/{p}"),
        "8 DELETE ns/properties": Call("DELETE", f"/{ns}/properties"),
        "9 DELETE ns/properties/p": Call("DELETE", f"/{ns}/properties/{p}"),
        "10 PATCH ns/s/properties": Call("PATCH", f"/{ns}/{s}/properties", {name: 1}),
        "11 PUT ns/s/properties/p": Call("PUT", f"/{ns}/{s}/properties/{p}", 1),
        "12 GET ns/s/properties": Call("GET", f"/{ns}/{s}/properties"),
        "13 GET ns/s/properties/p": Call("GET", f"/{ns}/{s}/properties/{p}"),
        "14 DELETE ns/s/properties": Call("DELETE", f"/{ns}/{s}/properties"),
        "15 DELETE ns/s/properties/p": Call("DELETE", f"/{ns}/{s}/properties/{p}"),
        "16 GET ns/session-ids": Call("GET", f"/{ns}/session-ids"),
        "17 GET ns/session-properties": Call("GET", f"/{ns}/session-properties"),
        "18 POST session": Call(
            "POST", f"/namespace/{ns}/session?ttlSecond=60", {"sessionId": session}
        ),
        "19 GET session": Call("GET", f"/namespace/{ns}/session"),
        "20 DELETE session/s": Call("DELETE", f"/namespace/{ns}/session/{s}"),
    }


def v2_rows(
    account_id: str, namespace: str = "orders", session: str = "s1", name: str = "size"
) -> dict[str, Call]:
    """Returns rows 21 to 25 with all their methods and aliases, each as a valid request for these names."""
    document: dict[str, object] = {
        "accountId": account_id,
        "nameSpace": namespace,
        "sessionId": session,
    }
    ns, s = quote(namespace, safe=""), quote(session, safe="")
    saved = document | {"payload": {name: 1}}
    filtered = document | {"filter": [f"{namespace}.{name}"]}
    deleted = document | {"propertyToDelete": [name]}
    return {
        "21 POST create": Call("POST", "/context/document/create", saved),
        "21 PATCH create": Call("PATCH", "/context/document/create", saved),
        "22 GET a/ns": Call("GET", f"/context/document/{account_id}/{ns}"),
        "23 GET a/ns/s": Call("GET", f"/context/document/{account_id}/{ns}/{s}"),
        "24 POST properties": Call("POST", "/context/document/properties", filtered),
        "25 DELETE property/delete": Call("DELETE", "/context/document/property/delete", deleted),
        "25 DELETE delete": Call("DELETE", "/context/document/delete", deleted),
    }


V1_ROWS = tuple(v1_rows())
V2_ROWS = tuple(v2_rows("any"))
V1_ROWS_WITH_BODY = tuple(row for row, call in v1_rows().items() if call.body is not None)
V2_ROWS_WITH_BODY = tuple(row for row, call in v2_rows("any").items() if call.body is not None)

RESERVED_NAMESPACES = ("consumer", "operational", "conversation", "custom", "sde", "faas")
