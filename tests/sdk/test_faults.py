"""Calls under network faults: which are retried, and that none is lost or takes effect twice."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import formatdate

import pytest

from ccs_sdk import (
    AuthenticationError,
    BadAnswerError,
    ConnectionFailedError,
    ContextClient,
    DocumentClient,
    RetryEvent,
    RetryPolicy,
    ServerError,
    ServiceUnavailableError,
    TimedOutError,
    TooManyRequestsError,
)
from tests.sdk import faults
from tests.sdk.faults import Fault, FaultProxy
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")

QUICK = RetryPolicy(attempts=4, base_delay=0.001)
PASSING = [
    faults.reset_before,
    faults.reset_after,
    faults.truncate,
    faults.never_respond,
    faults.stall,
    faults.respond(429, Retry_After="0"),
    faults.respond(502),
    faults.respond(503),
    faults.respond(504),
]


@pytest.fixture
def proxied(proxy: FaultProxy, account: Account) -> Iterator[ContextClient]:
    """A client that reaches the server through the proxy."""
    with ContextClient(
        proxy.url, account.id, api_key=account.key, retry=QUICK, timeout=(3, 0.5)
    ) as client:
        yield client


@pytest.fixture
def proxied_documents(proxy: FaultProxy, account: Account) -> Iterator[DocumentClient]:
    """A client of version 2 that reaches the server through the proxy."""
    with DocumentClient(
        proxy.url,
        account.id,
        username=account.username,
        password=account.password,
        retry=QUICK,
        timeout=(3, 0.5),
    ) as client:
        yield client


@pytest.mark.parametrize("fault", PASSING)
def test_a_read_succeeds_after_a_passing_fault(
    fault: Fault, proxy: FaultProxy, client: ContextClient, proxied: ContextClient
) -> None:
    client.set_properties("airline", {"intent": "rebook", "step": 3})
    proxy.faults.append(fault)
    assert proxied.get_properties("airline") == {"intent": "rebook", "step": 3}
    assert len(proxy.seen) == 2


@dataclass(frozen=True)
class Write:
    """A write, and the properties that it leaves of two existing ones."""

    write: Callable[[ContextClient], None]
    outcome: dict[str, object]


WRITES: dict[str, Write] = {
    "set one": Write(
        lambda client: client.set_property("airline", "step", 4), {"intent": "rebook", "step": 4}
    ),
    "set some": Write(
        lambda client: client.set_properties("airline", {"step": 4, "new": [1]}),
        {"intent": "rebook", "step": 4, "new": [1]},
    ),
    "delete one": Write(
        lambda client: client.delete_property("airline", "step"), {"intent": "rebook"}
    ),
    "delete all": Write(lambda client: client.delete_properties("airline"), {}),
    "delete namespace": Write(lambda client: client.delete_namespace("airline"), {}),
}


@pytest.mark.parametrize("fault", [fault for fault in PASSING if fault is not faults.truncate])
@pytest.mark.parametrize("name", WRITES)
def test_a_write_takes_effect_once_whether_or_not_the_server_received_it(
    name: str, fault: Fault, proxy: FaultProxy, client: ContextClient, proxied: ContextClient
) -> None:
    client.set_properties("airline", {"intent": "rebook", "step": 3})
    proxy.faults.append(fault)
    WRITES[name].write(proxied)
    assert client.get_properties("airline") == WRITES[name].outcome


@pytest.mark.parametrize("fault", PASSING)
def test_a_document_is_saved_whether_or_not_the_server_received_the_first_attempt(
    fault: Fault, proxy: FaultProxy, documents: DocumentClient, proxied_documents: DocumentClient
) -> None:
    proxied_documents.login()
    proxy.faults.append(fault)
    proxied_documents.save("airline", {"intent": "rebook"}, session_id="conv-1")
    assert documents.get("airline", session_id="conv-1").payload == {"intent": "rebook"}


def test_all_attempts_have_the_same_request_id(proxy: FaultProxy, proxied: ContextClient) -> None:
    proxy.faults.extend([faults.reset_before, faults.respond(503)])
    proxied.set_property("airline", "a", 1)
    assert len({seen.headers["X-Request-ID"] for seen in proxy.seen}) == 1
    assert len(proxy.seen) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.reset_before, ConnectionFailedError),
        (faults.truncate, ConnectionFailedError),
        (faults.never_respond, TimedOutError),
        (faults.stall, TimedOutError),
        (faults.respond(429), TooManyRequestsError),
        (faults.respond(502), ServerError),
        (faults.respond(503), ServiceUnavailableError),
        (faults.respond(504), ServerError),
    ],
)
def test_the_number_of_attempts_is_limited(
    fault: Fault, error: type[Exception], proxy: FaultProxy, proxied: ContextClient
) -> None:
    proxy.faults.extend([fault] * 9)
    with pytest.raises(error):
        proxied.get_properties("airline")
    assert len(proxy.seen) == QUICK.attempts


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.respond(500, b'{"code": 500, "message": "broken"}'), ServerError),
        (faults.respond(200, b"<html>a captive portal</html>"), BadAnswerError),
        (faults.respond(200, b""), BadAnswerError),
        (faults.respond(200, b"[]"), BadAnswerError),
        (faults.respond(301, Location="http://127.0.0.1:1/"), BadAnswerError),
    ],
)
def test_permanent_failures_are_not_retried(
    fault: Fault, error: type[Exception], proxy: FaultProxy, proxied: ContextClient
) -> None:
    proxy.faults.append(fault)
    with pytest.raises(error):
        proxied.get_properties("airline")
    assert len(proxy.seen) == 1


V1_WRITES: list[Callable[[ContextClient], None]] = [
    *(write.write for write in WRITES.values()),
    lambda client: client.register_namespace("airline", ttl=60),
    lambda client: client.set_session_ttl("airline", "conv-1", 60),
    lambda client: client.delete_session("airline", "conv-1"),
]
PORTALS = [
    faults.respond(200, b"<html>a login page</html>", Content_Type="text/html"),
    faults.respond(200, b""),
    faults.respond(200, b"{}", Content_Type="application/json"),
    faults.respond(202, b""),
]


@pytest.mark.parametrize("portal", PORTALS)
@pytest.mark.parametrize("write", V1_WRITES)
def test_a_write_succeeds_only_if_the_service_confirms_it(
    write: Callable[[ContextClient], None], portal: Fault, proxy: FaultProxy, proxied: ContextClient
) -> None:
    proxy.faults.append(portal)
    with pytest.raises(BadAnswerError, match="check base_url"):
        write(proxied)
    assert len(proxy.seen) == 1


@pytest.mark.parametrize(
    "portal",
    [
        *PORTALS,
        faults.respond(200, b'{"documentKey": "a:b:", "tenantId": "a"}'),
        faults.respond(200, b'{"documentKey": "a:b:", "tenantId": "a", "success": false}'),
    ],
)
def test_a_document_write_succeeds_only_if_the_service_confirms_it(
    portal: Fault, proxy: FaultProxy, proxied_documents: DocumentClient
) -> None:
    proxied_documents.login()
    calls: list[Callable[[], object]] = [
        lambda: proxied_documents.save("airline", {"a": 1}),
        lambda: proxied_documents.delete("airline"),
        lambda: proxied_documents.delete_properties("airline", ["a"]),
    ]
    proxy.faults.extend([portal] * len(calls))
    for call in calls:
        with pytest.raises(BadAnswerError, match="check base_url"):
            call()


def test_an_html_page_is_not_accepted_as_a_login(
    proxy: FaultProxy, proxied_documents: DocumentClient
) -> None:
    proxy.faults.append(faults.respond(200, b"<html>a login page</html>"))
    with pytest.raises(BadAnswerError):
        proxied_documents.save("airline", {"a": 1})


def test_retry_none_disables_retries(proxy: FaultProxy, account: Account) -> None:
    proxy.faults.append(faults.reset_before)
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, retry=None) as client,
        pytest.raises(ConnectionFailedError),
    ):
        client.list_namespaces()
    assert len(proxy.seen) == 1


def test_the_total_time_is_limited(proxy: FaultProxy, account: Account) -> None:
    proxy.faults.extend([faults.never_respond] * 9)
    policy = RetryPolicy(attempts=9, total_time=0.3, base_delay=0.001)
    begin = time.monotonic()
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, retry=policy) as client,
        pytest.raises(TimedOutError),
    ):
        client.list_namespaces()
    assert time.monotonic() - begin < 2  # the read timeout alone is ten seconds
    assert len(proxy.seen) < 9


@pytest.mark.parametrize(
    "retry_after", ["1", formatdate(time.time() + 3_600, usegmt=True)], ids=["seconds", "date"]
)
def test_a_wait_longer_than_the_total_time_is_not_started(
    retry_after: str, proxy: FaultProxy, account: Account
) -> None:
    proxy.faults.append(faults.respond(503, Retry_After=retry_after))
    policy = RetryPolicy(total_time=0.9)
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, retry=policy) as client,
        pytest.raises(ServiceUnavailableError) as failed,
    ):
        client.list_namespaces()
    assert failed.value.retry_after
    assert len(proxy.seen) == 1


def test_the_hook_is_called_for_each_retry_with_its_delay(
    proxy: FaultProxy, account: Account
) -> None:
    events: list[RetryEvent] = []
    policy = RetryPolicy(base_delay=0.001, max_retry_after=0.002)
    proxy.faults.extend([faults.reset_before, faults.respond(429, Retry_After="60")])
    with ContextClient(
        proxy.url, account.id, api_key=account.key, retry=policy, on_retry=events.append
    ) as client:
        client.get_properties("airline", session_id="a b")
    path = f"/v1/account/{account.id}/airline/a%20b/properties"
    assert [(event.method, event.path, event.attempt) for event in events] == [
        ("GET", path, 1),
        ("GET", path, 2),
    ]
    assert [type(event.error) for event in events] == [ConnectionFailedError, TooManyRequestsError]
    assert 0 <= events[0].delay <= 0.001
    assert events[1].delay == 0.002


def test_an_exception_of_the_hook_ends_the_call(
    proxy: FaultProxy, account: Account, both: str
) -> None:
    # An interrupt ends an event loop, not only the call.
    kind = KeyboardInterrupt if both == "sync" else LookupError

    def stop(event: RetryEvent) -> None:
        raise kind from event.error

    proxy.faults.append(faults.reset_before)
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, on_retry=stop) as client,
        pytest.raises(kind),
    ):
        client.list_namespaces()
    assert len(proxy.seen) == 1


def test_no_write_is_lost_under_random_faults(
    proxy: FaultProxy, client: ContextClient, account: Account
) -> None:
    chance = random.Random(7)
    quick = [faults.pass_on, faults.reset_before, faults.reset_after, faults.respond(503)]
    proxy.faults.extend(chance.choices(quick, k=400))
    policy = RetryPolicy(attempts=50, base_delay=0.001, max_delay=0.002)
    with ContextClient(proxy.url, account.id, api_key=account.key, retry=policy) as proxied:
        call = proxied.namespace("airline").session("conv-1")
        for step in range(60):
            call[f"step-{step}"] = step
            if step % 3 == 0:
                del call[f"step-{step}"]
    assert client.get_properties("airline", session_id="conv-1") == {
        f"step-{step}": step for step in range(60) if step % 3
    }
    assert len(proxy.seen) > 160  # 80 calls were made


def test_a_refused_token_is_replaced_once(
    proxy: FaultProxy, proxied_documents: DocumentClient
) -> None:
    proxied_documents.login()
    proxy.faults.append(faults.respond(401))
    proxied_documents.save("airline", {"a": 1})
    assert [seen.path.rpartition("/")[2] for seen in proxy.seen] == [
        "login",
        "create",
        "login",
        "create",
    ]
    first, second = (seen for seen in proxy.seen if seen.path.endswith("create"))
    assert first.headers["Authorization"].startswith("Bearer ")
    assert second.headers["Authorization"].startswith("Bearer ")


def test_concurrent_threads_log_in_once(
    proxy: FaultProxy, proxied_documents: DocumentClient
) -> None:
    threads = 8
    together = threading.Barrier(threads)

    def save(number: int) -> None:
        together.wait(timeout=10)
        proxied_documents.save("airline", {"number": number}, session_id=f"conv-{number}")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(save, range(threads)))
    paths = [seen.path.rpartition("/")[2] for seen in proxy.seen]
    assert paths.count("login") == 1
    assert paths.count("create") == threads


def test_threads_wait_for_a_stalled_login_concurrently(proxy: FaultProxy, account: Account) -> None:
    threads = 10
    together = threading.Barrier(threads)
    proxy.faults.extend([faults.never_respond] * threads)

    def save(number: int) -> float:
        together.wait(timeout=10)
        begin = time.monotonic()
        with pytest.raises(TimedOutError):
            client.save("airline", {"number": number})
        return time.monotonic() - begin

    with (
        DocumentClient(
            proxy.url, account.id, username="anna", password="secret", timeout=0.3, retry=None
        ) as client,
        ThreadPoolExecutor(threads) as pool,
    ):
        waits = list(pool.map(save, range(threads)))
    assert max(waits) < 1.5  # in turn, the last one would wait for 3 seconds


def test_each_thread_retries_a_login_by_its_own_policy(
    proxy: FaultProxy, proxied_documents: DocumentClient
) -> None:
    threads = 4
    together = threading.Barrier(threads)
    proxy.faults.append(faults.respond(503))

    def save(number: int) -> None:
        together.wait(timeout=10)
        proxied_documents.save("airline", {"number": number}, session_id=f"conv-{number}")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(save, range(threads)))
    paths = [seen.path.rpartition("/")[2] for seen in proxy.seen]
    assert paths.count("create") == threads
    assert 2 <= paths.count("login") <= 1 + threads


def test_a_second_refusal_of_the_token_raises_an_error(
    proxy: FaultProxy, proxied_documents: DocumentClient
) -> None:
    proxied_documents.login()
    proxy.faults.extend([faults.respond(401), faults.pass_on, faults.respond(401)])
    with pytest.raises(AuthenticationError):
        proxied_documents.save("airline", {"a": 1})
    assert len(proxy.seen) == 4


def test_connections_are_reused_up_to_the_pool_size(proxy: FaultProxy, account: Account) -> None:
    threads = 4
    with ContextClient(proxy.url, account.id, api_key=account.key, pool_size=threads) as client:

        def work(number: int) -> object:
            call = client.namespace("airline").session(f"conv-{number}")
            call["number"] = number
            return call["number"]

        with ThreadPoolExecutor(threads) as pool:
            assert list(pool.map(work, range(40))) == list(range(40))
    assert len(proxy.seen) == 80
    assert proxy.connections <= threads


def test_a_refused_connection_raises_connection_failed_error(account: Account) -> None:
    with (
        ContextClient("http://127.0.0.1:1", account.id, api_key=account.key, retry=QUICK) as client,
        pytest.raises(ConnectionFailedError, match=r"(?i)refused"),
    ):
        client.list_namespaces()
