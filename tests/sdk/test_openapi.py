"""Each operation of the server's OpenAPI document has a method in the SDK."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from ccs_sdk import ContextClient, DocumentClient
from ccs_server.store.database import Database
from tests.support.jobs import held_erasure
from tests.support.service import Account, Server

# The same operation with a second HTTP method; the SDK uses the first.
SECOND_WAYS = {"loginByGet": "login", "updateDocument": "createDocument"}

V1_CALLS: list[Callable[[ContextClient], object]] = [
    lambda client: client.register_namespace("airline"),
    lambda client: client.list_namespaces(),
    lambda client: client.set_properties("airline", {"a": 1}),
    lambda client: client.set_property("airline", "a", 1),
    lambda client: client.get_properties("airline"),
    lambda client: client.get_property("airline", "a"),
    lambda client: client.delete_property("airline", "a"),
    lambda client: client.delete_properties("airline"),
    lambda client: client.set_properties("airline", {"a": 1}, session_id="conv-1"),
    lambda client: client.set_property("airline", "a", 1, session_id="conv-1"),
    lambda client: client.get_properties("airline", session_id="conv-1"),
    lambda client: client.get_property("airline", "a", session_id="conv-1"),
    lambda client: list(client.iter_sessions("airline")),
    lambda client: list(client.iter_session_properties("airline")),
    lambda client: client.delete_property("airline", "a", session_id="conv-1"),
    lambda client: client.delete_properties("airline", session_id="conv-1"),
    lambda client: client.set_session_ttl("airline", "conv-1", 60),
    lambda client: client.list_session_ttls("airline"),
    lambda client: client.delete_session("airline", "conv-1"),
    lambda client: client.delete_namespace("airline"),
]
EXTENSION_CALLS: list[Callable[[ContextClient], object]] = [
    lambda client: client.namespace("airline").increment("turns"),
    lambda client: list(client.namespace("airline").find()),
    lambda client: client.namespace("airline").configure(changes="values"),
    lambda client: client.namespace("airline").get_settings(),
    lambda client: client.namespace("airline").history("turns"),
    lambda client: client.namespace("airline").token(),
    lambda client: client.activity(),
    lambda client: client.keys.list(),
    lambda client: client.keys.rotate(client.keys.create(scope="read").key_id),
    lambda client: client.keys.delete("none"),
    lambda client: client.webhooks.pause(client.webhooks.create("https://bot.example/").id),
    lambda client: client.webhooks.get(client.webhooks.list()[0].id),
    lambda client: client.webhooks.delete("none"),
]
V2_CALLS: list[Callable[[DocumentClient], object]] = [
    lambda client: client.login(),
    lambda client: client.save("airline", {"a": 1}),
    lambda client: client.save("airline", {"a": 1}, session_id="conv-1"),
    lambda client: client.get("airline"),
    lambda client: client.get("airline", session_id="conv-1"),
    lambda client: client.get_properties("airline", ["a"]),
    lambda client: client.delete_properties("airline", ["a"]),
    lambda client: client.delete("airline"),
    lambda client: client.signing_keys(),
]


class Recording(requests.Session):
    """A session that records the requests that it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.requests_sent: set[tuple[str, str]] = set()
        self.hooks["response"] = [self._record]

    def _record(self, response: requests.Response, *_: object, **__: object) -> None:
        assert response.ok, response.text
        self.requests_sent.add(
            (response.request.method or "", response.request.path_url.partition("?")[0])
        )


def _operations(server: Server) -> dict[str, tuple[str, re.Pattern[str]]]:
    """Returns the method and path of each operation, by its id, with literal paths before templates."""
    document = requests.get(f"{server.url}/openapi.json", timeout=30).json()
    return {
        operation["operationId"]: (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path)))
        for path, operations in sorted(
            document["paths"].items(), key=lambda item: item[0].count("{")
        )
        for method, operation in operations.items()
        if method != "parameters"
    }


@pytest.fixture
def requests_sent(admins: Account, database: Database, tmp_path: Path) -> set[tuple[str, str]]:
    """The requests that are sent when each method of the SDK is called."""
    with Recording() as session:
        v1 = ContextClient(admins.server_url, admins.id, api_key=admins.key, http_session=session)
        v2 = DocumentClient(
            admins.server_url,
            admins.id,
            username=admins.username,
            password=admins.password,
            http_session=session,
        )
        for call in [*V1_CALLS, *EXTENSION_CALLS]:
            call(v1)
        v1.export(tmp_path / "account.ndjson")
        v1.import_from(tmp_path / "account.ndjson")
        v1.erase(name="none", dry_run=True)
        v1.jobs.get(held_erasure(database, admins.id, values=["x"]).id).cancel()
        list(v1.jobs.list())
        for call_v2 in V2_CALLS:
            call_v2(v2)
        return session.requests_sent


def test_every_documented_operation_has_a_method(
    server: Server, requests_sent: set[tuple[str, str]]
) -> None:
    operations = _operations(server)
    assert len(operations) >= 30
    reached = {
        next(
            operation
            for operation, (documented, pattern) in operations.items()
            if documented == method and pattern.fullmatch(path)
        )
        for method, path in requests_sent
    }
    assert operations.keys() - reached - SECOND_WAYS.keys() == set()
    assert SECOND_WAYS.keys() <= operations.keys()
    assert set(SECOND_WAYS.values()) <= reached
