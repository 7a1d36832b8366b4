"""The operations of the OpenAPI document, each with a valid request."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.support.service import Account

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
JSON, NDJSON = "application/json", "application/x-ndjson"
KEY, TOKEN, EITHER, BASIC, OPEN = "key", "token", "either", "basic", "open"


@dataclass(frozen=True)
class Place:
    """The names that a request uses."""

    account: str
    namespace: str = "orders"
    session: str = "s1"
    name: str = "size"
    key_id: str = "a1B2c3D4e5F6"
    webhook_id: str = "a1B2c3D4e5F6"
    job_id: str = "a1B2c3D4e5F6"


@dataclass(frozen=True)
class Operation:
    """A method of a path, with the kind of credential that it requires."""

    method: str
    path: str
    credential: str
    example: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def address(self) -> str | None:
        """Where the account is named: in the path, in the body, or nowhere (None)."""
        if "{account}" in self.path:
            return "path"
        return "body" if isinstance(self.example, dict) and "accountId" in self.example else None

    def target(self, place: Place) -> str:
        """Returns the path with the names filled in.

        Raises:
            KeyError: The path has an unknown parameter.
        """
        parts = {key: quote(text, safe="") for key, text in vars(place).items()}
        return self.path.format_map(parts)

    def body(self, place: Place) -> Any:
        """Returns the example body of the document, with the names filled in."""
        if not isinstance(self.example, dict):
            return self.example
        named = {
            "accountId": place.account,
            "nameSpace": place.namespace,
            "sessionId": place.session,
            "filter": [f"{place.namespace}.{place.name}"],
            "propertyToDelete": [place.name],
            "payload": {place.name: 1},
            "name": place.namespace,
        }
        return {key: named.get(key, value) for key, value in self.example.items()}

    def content(self, place: Place) -> tuple[str, bytes]:
        """Returns the media type of the body, and the body as it is sent."""
        if isinstance(self.example, bytes):
            return NDJSON, self.example
        return JSON, b"" if self.example is None else json.dumps(self.body(place)).encode()

    def arguments(self, place: Place) -> dict[str, Any]:
        """Returns the arguments with which `requests` sends the body."""
        if isinstance(self.example, bytes):
            return {"data": self.example, "headers": {"Content-Type": NDJSON}}
        return {} if self.example is None else {"json": self.body(place)}


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Returns all operations of the document."""
    for path, item in document["paths"].items():
        for method in sorted(METHODS & item.keys()):
            yield Operation(
                method.upper(),
                path,
                _credential(document, path, item[method]),
                _example(document, item[method]),
            )


def _credential(document: dict[str, Any], path: str, operation: dict[str, Any]) -> str:
    if path.startswith("/ext/"):
        return EITHER
    schemes = document["components"]["securitySchemes"]
    named = [schemes[name] for choice in operation["security"] for name in choice]
    if not named:
        return OPEN
    if any(scheme.get("name") == "maven-api-key" for scheme in named):
        return KEY
    return BASIC if any(scheme.get("scheme") == "basic" for scheme in named) else TOKEN


def _example(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    if "requestBody" not in operation:
        return None
    contents = operation["requestBody"]["content"]
    if NDJSON in contents:
        return contents[NDJSON]["example"].encode()
    content = contents["application/json"]
    if "examples" in content:
        return next(iter(content["examples"].values()))["value"]
    schema = _resolved(document, content["schema"])
    return {
        name: _resolved(document, member)["example"]
        for name, member in schema["properties"].items()
    }


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def fill(account: Account, place: Place) -> None:
    """Saves data of every kind under the names."""
    for method, path, body in (
        ("POST", "?ttlSecond=3600", {"name": place.namespace}),
        ("PATCH", f"/{place.namespace}/properties", {place.name: "of the namespace"}),
        ("PATCH", f"/{place.namespace}/{place.session}/properties", {place.name: "of the session"}),
        (
            "POST",
            f"/namespace/{place.namespace}/session?ttlSecond=60",
            {"sessionId": place.session},
        ),
    ):
        account.v1(method, path, json=body).raise_for_status()
