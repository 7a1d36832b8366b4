"""Options of one call, and what the SDK tells of its requests."""

import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ccs_sdk import (
    BadRequestError,
    ClientClosedError,
    ConnectionFailedError,
    ContextClient,
    DocumentClient,
    RequestEvent,
    ResponseEvent,
    RetryPolicy,
    TimedOutError,
    __version__,
    recorded_responses,
)
from tests.sdk import faults
from tests.sdk.faults import FaultProxy
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")

QUICK = RetryPolicy(attempts=4, base_delay=0.001)

Connect = Callable[..., ContextClient]


@pytest.fixture
def connect(proxy: FaultProxy, account: Account) -> Connect:
    """Returns a client that reaches the server through the proxy."""

    def connect(**options: Any) -> ContextClient:
        return ContextClient(proxy.url, account.id, api_key=account.key, retry=QUICK, **options)

    return connect


def test_a_call_may_have_its_own_timeout_and_retries(proxy: FaultProxy, connect: Connect) -> None:
    with connect() as client:
        call = client.namespace("airline").session("conv-1")
        call["a"] = 1
        seen = len(proxy.seen)
        for short in (
            client.with_options(timeout=0.2, retry=None).namespace("airline"),
            call.with_options(timeout=(1, 0.2), retry=None),
            client.namespace("airline").with_options(timeout=0.2, retry=None).session("conv-1"),
        ):
            proxy.faults.append(faults.never_respond)
            begin = time.monotonic()
            with pytest.raises(TimedOutError):
                short.all()
            assert time.monotonic() - begin < 5  # the timeout of the client is ten seconds
        assert len(proxy.seen) == seen + 3
        proxy.faults.append(faults.reset_before)
        assert call["a"] == 1  # the client and its handles have their own options still


def test_operations_of_the_extension_have_them_too(proxy: FaultProxy, connect: Connect) -> None:
    with connect() as client:
        call = client.namespace("airline").session("conv-1").with_options(retry=None)
        proxy.faults.append(faults.reset_before)
        with pytest.raises(ConnectionFailedError):
            call.increment("n")
        assert call.increment("n") == 1
        proxy.faults.append(faults.reset_before)
        with pytest.raises(ConnectionFailedError), client.with_options(retry=None).batch() as batch:
            batch.session("airline", "conv-1").increment("n")


def test_clients_with_other_options_share_connections_and_login(
    proxy: FaultProxy, connect: Connect, account: Account
) -> None:
    with connect() as client:
        for retry in (None, QUICK, None):
            client.with_options(retry=retry).list_namespaces()
        assert proxy.connections == 1
        client.with_options(timeout=1).close()
        with pytest.raises(ClientClosedError):
            client.list_namespaces()
    with DocumentClient(
        proxy.url, account.id, username=account.username, password=account.password
    ) as documents:
        documents.with_options(timeout=5).save("airline", {"a": 1})
        documents.with_options(retry=None).save("airline", {"a": 2})
        assert documents.get("airline").payload == {"a": 2}
    assert [seen.path.rpartition("/")[2] for seen in proxy.seen].count("login") == 1


def test_responses_are_recorded_with_their_headers(proxy: FaultProxy, connect: Connect) -> None:
    with connect() as client:
        call = client.namespace("airline").session("conv-1")
        proxy.faults.append(faults.respond(503, X_Request_ID="r-1"))
        with recorded_responses() as responses:
            call["intent"] = "rebook"
            assert call["intent"] == "rebook"
            with pytest.raises(BadRequestError):
                client.namespace("sde").all()
        call.all()  # not recorded
    assert [(event.method, event.status, event.attempt) for event in responses] == [
        ("PUT", 503, 1),
        ("PUT", 204, 2),
        ("GET", 200, 1),
        ("GET", 400, 1),
    ]
    assert responses[0].request_id == "r-1"
    assert responses[1].request_id == proxy.seen[1].headers["X-Request-ID"]
    assert responses[1].headers["etag"] == responses[2].headers["ETag"]
    assert responses[2].path.endswith("/airline/conv-1/properties/intent")
    assert all(0 < event.seconds < 60 for event in responses)


def test_only_calls_of_the_block_are_recorded(client: ContextClient) -> None:
    with recorded_responses() as outer:
        client.list_namespaces()
        with recorded_responses() as inner:
            client.list_namespaces()
        thread = threading.Thread(target=client.list_namespaces)
        thread.start()
        thread.join()
    assert (len(outer), len(inner)) == (1, 1)


def test_a_hook_may_add_headers_to_each_attempt(proxy: FaultProxy, connect: Connect) -> None:
    events: list[RequestEvent] = []

    def trace(event: RequestEvent) -> None:
        events.append(event)
        event.headers["traceparent"] = f"00-{event.attempt}"

    with connect(on_request=trace) as client:
        proxy.faults.append(faults.reset_before)
        client.set_property("airline", "a b", 1)
    assert [seen.headers["traceparent"] for seen in proxy.seen] == ["00-1", "00-2"]
    assert all("maven-api-key" in seen.headers for seen in proxy.seen)
    for event in events:
        assert event.method == "PUT"
        assert event.path.endswith("/airline/properties/a%20b")
        assert event.request_id == proxy.seen[0].headers["X-Request-ID"]
        assert "maven-api-key" not in event.headers


def test_a_hook_is_called_with_each_response(proxy: FaultProxy, connect: Connect) -> None:
    events: list[ResponseEvent] = []
    with connect(on_response=events.append) as client:
        proxy.faults.extend([faults.respond(503), faults.reset_before])
        client.list_namespaces()
    assert [(event.status, event.attempt) for event in events] == [(503, 1), (200, 3)]


def test_an_exception_of_a_hook_ends_the_call(proxy: FaultProxy, connect: Connect) -> None:
    def refuse(_: object) -> None:
        raise LookupError

    with connect(on_request=refuse) as client, pytest.raises(LookupError):
        client.list_namespaces()
    assert proxy.seen == []
    with connect(on_response=refuse) as client, pytest.raises(LookupError):
        client.list_namespaces()
    assert len(proxy.seen) == 1


def test_the_logger_tells_of_responses_and_retries(
    proxy: FaultProxy, connect: Connect, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ccs_sdk")
    proxy.faults.append(faults.respond(503))
    with connect() as client:
        client.list_namespaces()
    records = [record for record in caplog.records if record.name == "ccs_sdk"]
    assert [record.levelname for record in records] == ["DEBUG", "INFO", "DEBUG"]
    first, retry, last = (record.getMessage() for record in records)
    request_id = proxy.seen[0].headers["X-Request-ID"]
    path = f"/v1/account/{account.id}"
    assert re.fullmatch(
        rf"GET {path}: 503 after \d+\.\d ms \(request id {request_id}, attempt 1\)", first
    )
    assert retry.startswith(f"GET {path} failed at attempt 1, next attempt in 0.00 s: ")
    assert f"request id {request_id}, attempt 2" in last
    assert account.key not in caplog.text


def test_the_user_agent_names_the_sdk_and_the_program(proxy: FaultProxy, connect: Connect) -> None:
    for program, sent in (
        (None, f"ccs-sdk/{__version__}"),
        ("airline-bot/1.2 (staging)", f"ccs-sdk/{__version__} airline-bot/1.2 (staging)"),
    ):
        with connect(user_agent=program) as client:
            client.list_namespaces()
        assert proxy.seen[-1].headers["User-Agent"] == sent
