"""The requests of the vendor's own JavaScript client, byte for byte, as recorded with Node.js 20.

Every call has a JSON content type, even without a body. The session of namespace properties is `__default__`. A session
is deleted with a trailing slash. The client does not encode names, so only characters that `fetch` encodes are encoded.
It accepts only 204 for a write and 200 for a read.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

import pytest

from tests.api.answers import TIMESTAMP
from tests.support.raw_http import Answer, send
from tests.support.service import Account, Server

# Characters that the URL standard does not encode in a path, except `?` and `#`, which end the path.
LEFT_IN_A_PATH = "!$%&'()*+,-./:;=@[]^_|~"
DEFAULT_SESSION = "__default__"


@dataclass(frozen=True)
class VendorClient:
    """The calls of the client, named as in the client."""

    server: Server
    account: Account

    def create_namespace(self, namespace: str, ttl: int | None = None) -> dict[str, object]:
        query = f"?ttlSecond={ttl}" if ttl else ""
        self._write("POST", query, {"name": namespace})
        return next(one for one in self.get_list_of_namespaces() if one["name"] == namespace)

    def delete_namespace(self, namespace: str) -> None:
        self._write("DELETE", f"/{namespace}")

    def get_list_of_namespaces(self) -> list[dict[str, object]]:
        namespaces: list[dict[str, object]] = json.loads(self._read(""))
        return namespaces

    def set_properties(
        self, namespace: str, properties: dict[str, object], session: str = DEFAULT_SESSION
    ) -> object:
        self._write("PATCH", f"/{namespace}/{session}/properties", properties)
        return self.get_all_properties(namespace, session)

    def get_all_properties(self, namespace: str, session: str = DEFAULT_SESSION) -> object:
        return json.loads(self._read(f"/{namespace}/{session}/properties"))

    def get_property(self, namespace: str, name: str, session: str = DEFAULT_SESSION) -> object:
        """Returns the parsed value if the response is JSON, and otherwise its text, as the client does."""
        return json.loads(self._read(f"/{namespace}/{session}/properties/{name}"))

    def delete_property(self, namespace: str, name: str, session: str = DEFAULT_SESSION) -> None:
        self._write("DELETE", f"/{namespace}/{session}/properties/{name}")

    def delete_session(self, namespace: str, session: str) -> None:
        self._write("DELETE", f"/{namespace}/{session}/properties/")

    def get_list_of_sessions(self, namespace: str) -> object:
        return json.loads(self._read(f"/{namespace}/session-ids"))

    def send(self, method: str, path: str, body: object = None) -> Answer:
        """Sends a call as `fetch` does, with its order and case of headers."""
        target = quote(f"/v1/account/{self.account.id}", safe="/") + _left_as_it_is(path)
        content = b""
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        request_id = str(uuid.uuid4())
        lines = [
            f"{method} {target} HTTP/1.1",
            f"host: {urlsplit(self.server.url).netloc}",
            "connection: keep-alive",
            f"maven-api-key: {self.account.key}",
            "Content-Type: application/json",
            "Accept: application/json",
            f"X-REQUEST-ID: {request_id}",
            "User-Agent: @liveperson/context-service v0.1.0",
            "accept-language: *",
            "sec-fetch-mode: cors",
            "accept-encoding: gzip, deflate",
            *([f"content-length: {len(content)}"] if content else []),
        ]
        answer = send(self.server.url, "\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        assert answer.headers["x-request-id"] == request_id
        return answer

    def _write(self, method: str, path: str, body: object = None) -> None:
        answer = self.send(method, path, body)
        assert answer.status == 204, answer
        assert answer.body == b""

    def _read(self, path: str) -> bytes:
        answer = self.send("GET", path)
        assert answer.status == 200, answer
        assert answer.headers["content-type"].startswith("application/json")
        return answer.body


def _left_as_it_is(path: str) -> str:
    names, mark, query = path.partition("?")
    return quote(names, safe=LEFT_IN_A_PATH) + mark + query


@pytest.fixture
def client(server: Server, account: Account) -> VendorClient:
    return VendorClient(server, account)


def test_it_creates_lists_and_deletes_namespaces(client: VendorClient) -> None:
    created = client.create_namespace("myNamespace")
    assert created.keys() == {"name", "createdAt"}
    assert TIMESTAMP.fullmatch(str(created["createdAt"]))
    datetime.fromisoformat(str(created["createdAt"]))
    assert client.create_namespace("with-hyphens", ttl=3600)["ttlSecond"] == 3600
    names = {one["name"] for one in client.get_list_of_namespaces()}
    assert names == {"myNamespace", "with-hyphens"}
    client.delete_namespace("myNamespace")
    client.delete_namespace("myNamespace")  # a namespace that is gone is no error
    assert [one["name"] for one in client.get_list_of_namespaces()] == ["with-hyphens"]


def test_creating_a_namespace_again_is_not_an_error(client: VendorClient) -> None:
    first = client.create_namespace("myNamespace", ttl=60)
    assert client.create_namespace("myNamespace") == first


def test_it_sets_and_updates_properties_of_a_session(client: VendorClient) -> None:
    assert client.set_properties("ns", {"a": 1, "b": "ä"}, "s1") == {"a": 1, "b": "ä"}
    assert client.set_properties("ns", {"b": None, "c": [{}]}, "s1") == {
        "a": 1,
        "b": None,
        "c": [{}],
    }


def test_without_a_session_it_uses_the_properties_of_the_namespace(
    client: VendorClient, account: Account
) -> None:
    assert client.set_properties("ns", {"a": 1}) == {"a": 1}
    assert account.v1("GET", "/ns/properties").json() == {"a": 1}
    assert client.get_property("ns", "a") == 1
    client.delete_property("ns", "a")
    assert client.get_all_properties("ns") == {}


@pytest.mark.parametrize(
    "value", ["text", "123", "true", "", '"quoted"', 123, 1.5, None, False, [], {"a": ["b"]}]
)
def test_it_reads_a_value_with_its_type(client: VendorClient, value: object) -> None:
    client.set_properties("ns", {"a": value}, "s1")
    read = client.get_property("ns", "a", "s1")
    assert read == value
    assert type(read) is type(value)


def test_an_absent_property_is_404_with_a_message(client: VendorClient) -> None:
    answer = client.send("GET", "/ns/s1/properties/nothing")
    assert answer.status == 404
    assert json.loads(answer.body)["message"]


def test_deleting_absent_data_is_not_an_error(client: VendorClient) -> None:
    client.delete_property("ns", "nothing", "s1")
    client.delete_session("ns", "s1")


def test_it_deletes_a_session_with_a_trailing_slash(client: VendorClient) -> None:
    client.set_properties("ns", {"a": 1}, "s1")
    client.set_properties("ns", {"a": 1}, "s2")
    client.set_properties("ns", {"a": 1})
    client.delete_session("ns", "s1")
    assert client.get_all_properties("ns", "s1") == {}
    assert client.get_list_of_sessions("ns") == ["__default__", "s2"]
    client.delete_session("ns", DEFAULT_SESSION)
    assert client.get_list_of_sessions("ns") == ["s2"]


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "ünï cödé 日本 😀",
        "a/b/c",
        "a:b@c;d=e,f&g+h",
        "[0]|^~$!*'()",
        '"quoted"',
        "<tag>",
        "{a}",
        "back`tick",
        "50%",
        "100% sure",
        "properties",
        "a//b",
    ],
)
def test_names_it_does_not_encode_arrive_as_they_are(client: VendorClient, name: str) -> None:
    client.set_properties("ns", {name: 1}, "s1")
    assert client.get_property("ns", name, "s1") == 1
    client.delete_property("ns", name, "s1")
    assert client.get_all_properties("ns", "s1") == {}


@pytest.mark.parametrize(
    "session", ["with space", "ünï 日本 😀", "a:b@c;d=e,f&g+h", "[0]|^~$!*'()", "50%", "a,b"]
)
def test_sessions_it_does_not_encode_arrive_as_they_are(client: VendorClient, session: str) -> None:
    assert client.set_properties("ns", {"a": 1}, session) == {"a": 1}
    assert client.get_list_of_sessions("ns") == [session]
    client.delete_session("ns", session)
    assert client.get_list_of_sessions("ns") == []


@pytest.mark.parametrize("namespace", ["faas", "consumer", "custom", "operational", "conversation"])
def test_a_built_in_namespace_is_400_with_a_message(client: VendorClient, namespace: str) -> None:
    answer = client.send("PATCH", f"/{namespace}/{DEFAULT_SESSION}/properties", {"a": 1})
    assert answer.status == 400
    assert json.loads(answer.body)["message"]
