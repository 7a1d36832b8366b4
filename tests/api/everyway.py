"""Writes and reads a property in every way that the two versions of the API offer."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from requests import Response

from tests.api.answers import exact, read
from tests.support.service import Account

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Property:
    """A property at one place. Values are passed and returned as JSON text, so that no number is rounded."""

    account: Account
    name: str
    session: str = "s1"
    namespace: str = "orders"

    @property
    def path(self) -> str:
        """The v1 path of the property's document. Some property names cannot be part of a path."""
        return f"/{self.namespace}/{quote(self.session, safe='')}/properties"

    def put(self, value: str) -> Response:
        """Row 11."""
        return self.account.v1(
            "PUT", f"{self.path}/{quote(self.name, safe='')}", data=value.encode(), headers=JSON
        )

    def patch(self, value: str) -> Response:
        """Row 10."""
        body = f"{{{json.dumps(self.name)}:{value}}}"
        return self.account.v1("PATCH", self.path, data=body.encode(), headers=JSON)

    def create(self, value: str) -> Response:
        """Row 21."""
        envelope = {
            "accountId": self.account.id,
            "nameSpace": self.namespace,
            "sessionId": self.session,
        }
        body = f'{json.dumps(envelope)[:-1]},"payload":{{{json.dumps(self.name)}:{value}}}}}'
        return self.account.v2("POST", "/context/document/create", data=body.encode(), headers=JSON)

    def delete(self) -> None:
        """Row 14: deletes everything that the test has written to this session."""
        assert self.account.v1("DELETE", self.path).status_code == 204

    def get(self) -> object:
        """Row 13."""
        return read(self.account.v1("GET", f"{self.path}/{quote(self.name, safe='')}"))

    def readings_of_bodies(self) -> dict[str, object]:
        """Returns the value by every read that has the name in a body rather than in the path."""
        v1, v2 = self.account.v1, self.account.v2
        document = (
            f"/context/document/{self.account.id}/{self.namespace}/{quote(self.session, safe='')}"
        )
        filtered = f"{self.namespace}.{self.name}"
        query = {
            "accountId": self.account.id,
            "nameSpace": self.namespace,
            "sessionId": self.session,
            "filter": [filtered],
        }
        sessions = read(v1("GET", f"/{self.namespace}/session-properties"))
        assert isinstance(sessions, list)
        (listed,) = (one["property"] for one in sessions if one["sessionId"] == self.session)
        found = read(v2("POST", "/context/document/properties", json=query))
        whole = read(v2("GET", document))
        everything = read(v1("GET", self.path))
        assert isinstance(found, dict)
        assert isinstance(whole, dict)
        assert isinstance(everything, dict)
        return {
            "v1 properties": everything[self.name],
            "v1 session-properties": listed[self.name],
            "v2 document": whole["payload"][self.name],
            "v2 properties": found[filtered],
        }

    def readings(self) -> dict[str, object]:
        """Returns the value by every read of the API."""
        return {"v1 property": self.get()} | self.readings_of_bodies()


WRITES: dict[str, Callable[[Property, str], Response]] = {
    "v1 PUT": Property.put,
    "v1 PATCH": Property.patch,
    "v2 create": Property.create,
}
WRITTEN = {"v1 PUT": 204, "v1 PATCH": 204, "v2 create": 201}


def expected(value: str) -> object:
    """Returns the value that every read of this JSON text must be equal to."""
    return exact(value)
