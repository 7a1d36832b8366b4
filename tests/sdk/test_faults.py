"""What happens to calls when the network fails: what is tried again, and that nothing is lost or done twice."""

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

QUICK = RetryPolicy(attempts=4, base_delay=0.001)
PASSING = [
    faults.reset_before,
    faults.reset_after,
    faults.truncate,
    faults.say_nothing,
    faults.stall,
    faults.answer(429, Retry_After="0"),
    faults.answer(502),
    faults.answer(503),
    faults.answer(504),
]


@pytest.fixture
def far(proxy: FaultProxy, account: Account) -> Iterator[ContextClient]:
    """A client that reaches the server through the proxy."""
    with ContextClient(
        proxy.url, account.id, api_key=account.key, retry=QUICK, timeout=(3, 0.5)
    ) as client:
        yield client


@pytest.fixture
def far_documents(proxy: FaultProxy, account: Account) -> Iterator[DocumentClient]:
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
def test_a_read_comes_through(
    fault: Fault, proxy: FaultProxy, client: ContextClient, far: ContextClient
) -> None:
    client.set_properties("airline", {"intent": "rebook", "step": 3})
    proxy.faults.append(fault)
    assert far.get_properties("airline") == {"intent": "rebook", "step": 3}
    assert len(proxy.seen) == 2


@dataclass(frozen=True)
class Write:
    """A write, and what it leaves of two properties."""

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
def test_a_write_has_its_effect_once_whatever_the_server_heard_of_it(
    name: str, fault: Fault, proxy: FaultProxy, client: ContextClient, far: ContextClient
) -> None:
    client.set_properties("airline", {"intent": "rebook", "step": 3})
    proxy.faults.append(fault)
    WRITES[name].write(far)
    assert client.get_properties("airline") == WRITES[name].outcome


@pytest.mark.parametrize("fault", PASSING)
def test_a_document_is_saved_whatever_the_server_heard_of_it(
    fault: Fault, proxy: FaultProxy, documents: DocumentClient, far_documents: DocumentClient
) -> None:
    far_documents.login()
    proxy.faults.append(fault)
    far_documents.save("airline", {"intent": "rebook"}, session_id="conv-1")
    assert documents.get("airline", session_id="conv-1").payload == {"intent": "rebook"}


def test_all_attempts_are_one_request_to_the_logs(proxy: FaultProxy, far: ContextClient) -> None:
    proxy.faults.extend([faults.reset_before, faults.answer(503)])
    far.set_property("airline", "a", 1)
    assert len({seen.headers["X-Request-ID"] for seen in proxy.seen}) == 1
    assert len(proxy.seen) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.reset_before, ConnectionFailedError),
        (faults.truncate, ConnectionFailedError),
        (faults.say_nothing, TimedOutError),
        (faults.stall, TimedOutError),
        (faults.answer(429), TooManyRequestsError),
        (faults.answer(502), ServerError),
        (faults.answer(503), ServiceUnavailableError),
        (faults.answer(504), ServerError),
    ],
)
def test_attempts_are_bounded(
    fault: Fault, error: type[Exception], proxy: FaultProxy, far: ContextClient
) -> None:
    proxy.faults.extend([fault] * 9)
    with pytest.raises(error):
        far.get_properties("airline")
    assert len(proxy.seen) == QUICK.attempts


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.answer(500, b'{"code": 500, "message": "broken"}'), ServerError),
        (faults.answer(200, b"<html>a captive portal</html>"), BadAnswerError),
        (faults.answer(200, b""), BadAnswerError),
        (faults.answer(200, b"[]"), BadAnswerError),
        (faults.answer(301, Location="http://127.0.0.1:1/"), BadAnswerError),
    ],
)
def test_what_will_not_pass_is_not_tried_again(
    fault: Fault, error: type[Exception], proxy: FaultProxy, far: ContextClient
) -> None:
    proxy.faults.append(fault)
    with pytest.raises(error):
        far.get_properties("airline")
    assert len(proxy.seen) == 1


V1_WRITES: list[Callable[[ContextClient], None]] = [
    *(write.write for write in WRITES.values()),
    lambda client: client.register_namespace("airline", ttl=60),
    lambda client: client.set_session_ttl("airline", "conv-1", 60),
    lambda client: client.delete_session("airline", "conv-1"),
]
PORTALS = [
    faults.answer(200, b"<html>a login page</html>", Content_Type="text/html"),
    faults.answer(200, b""),
    faults.answer(200, b"{}", Content_Type="application/json"),
    faults.answer(202, b""),
]


@pytest.mark.parametrize("portal", PORTALS)
@pytest.mark.parametrize("write", V1_WRITES)
def test_a_write_is_done_only_if_the_service_says_so(
    write: Callable[[ContextClient], None], portal: Fault, proxy: FaultProxy, far: ContextClient
) -> None:
    proxy.faults.append(portal)
    with pytest.raises(BadAnswerError, match="check base_url"):
        write(far)
    assert len(proxy.seen) == 1


@pytest.mark.parametrize(
    "portal",
    [
        *PORTALS,
        faults.answer(200, b'{"documentKey": "a:b:", "tenantId": "a"}'),
        faults.answer(200, b'{"documentKey": "a:b:", "tenantId": "a", "success": false}'),
    ],
)
def test_a_document_is_saved_only_if_the_service_says_so(
    portal: Fault, proxy: FaultProxy, far_documents: DocumentClient
) -> None:
    far_documents.login()
    calls: list[Callable[[], object]] = [
        lambda: far_documents.save("airline", {"a": 1}),
        lambda: far_documents.delete("airline"),
        lambda: far_documents.delete_properties("airline", ["a"]),
    ]
    proxy.faults.extend([portal] * len(calls))
    for call in calls:
        with pytest.raises(BadAnswerError, match="check base_url"):
            call()


def test_a_login_page_is_no_login(proxy: FaultProxy, far_documents: DocumentClient) -> None:
    proxy.faults.append(faults.answer(200, b"<html>a login page</html>"))
    with pytest.raises(BadAnswerError):
        far_documents.save("airline", {"a": 1})


def test_retries_are_off_with_one_argument(proxy: FaultProxy, account: Account) -> None:
    proxy.faults.append(faults.reset_before)
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, retry=None) as client,
        pytest.raises(ConnectionFailedError),
    ):
        client.list_namespaces()
    assert len(proxy.seen) == 1


def test_the_total_time_is_bounded(proxy: FaultProxy, account: Account) -> None:
    proxy.faults.extend([faults.say_nothing] * 9)
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
    "asked", ["1", formatdate(time.time() + 3_600, usegmt=True)], ids=["seconds", "date"]
)
def test_a_wait_past_the_total_time_is_not_begun(
    asked: str, proxy: FaultProxy, account: Account
) -> None:
    proxy.faults.append(faults.answer(503, Retry_After=asked))
    policy = RetryPolicy(total_time=0.9)
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, retry=policy) as client,
        pytest.raises(ServiceUnavailableError) as failed,
    ):
        client.list_namespaces()
    assert failed.value.retry_after
    assert len(proxy.seen) == 1


def test_the_hook_sees_each_retry_with_the_time_that_the_service_asked_for(
    proxy: FaultProxy, account: Account
) -> None:
    events: list[RetryEvent] = []
    policy = RetryPolicy(base_delay=0.001, max_retry_after=0.002)
    proxy.faults.extend([faults.reset_before, faults.answer(429, Retry_After="60")])
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


def test_what_the_hook_raises_ends_the_call(proxy: FaultProxy, account: Account) -> None:
    def stop(event: RetryEvent) -> None:
        raise KeyboardInterrupt from event.error

    proxy.faults.append(faults.reset_before)
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, on_retry=stop) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        client.list_namespaces()
    assert len(proxy.seen) == 1


def test_nothing_is_lost_in_a_storm(
    proxy: FaultProxy, client: ContextClient, account: Account
) -> None:
    weather = random.Random(7)
    quick = [faults.pass_on, faults.reset_before, faults.reset_after, faults.answer(503)]
    proxy.faults.extend(weather.choices(quick, k=400))
    policy = RetryPolicy(attempts=50, base_delay=0.001, max_delay=0.002)
    with ContextClient(proxy.url, account.id, api_key=account.key, retry=policy) as far:
        call = far.namespace("airline").session("conv-1")
        for step in range(60):
            call[f"step-{step}"] = step
            if step % 3 == 0:
                del call[f"step-{step}"]
    assert client.get_properties("airline", session_id="conv-1") == {
        f"step-{step}": step for step in range(60) if step % 3
    }
    assert len(proxy.seen) > 160  # 80 calls were made


def test_a_refused_token_is_fetched_anew_once(
    proxy: FaultProxy, far_documents: DocumentClient
) -> None:
    far_documents.login()
    proxy.faults.append(faults.answer(401))
    far_documents.save("airline", {"a": 1})
    assert [seen.path.rpartition("/")[2] for seen in proxy.seen] == [
        "login",
        "create",
        "login",
        "create",
    ]
    first, second = (seen for seen in proxy.seen if seen.path.endswith("create"))
    assert first.headers["Authorization"].startswith("Bearer ")
    assert second.headers["Authorization"].startswith("Bearer ")


def test_threads_that_begin_together_log_in_once(
    proxy: FaultProxy, far_documents: DocumentClient
) -> None:
    threads = 8
    together = threading.Barrier(threads)

    def save(number: int) -> None:
        together.wait(timeout=10)
        far_documents.save("airline", {"number": number}, session_id=f"conv-{number}")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(save, range(threads)))
    paths = [seen.path.rpartition("/")[2] for seen in proxy.seen]
    assert paths.count("login") == 1
    assert paths.count("create") == threads


def test_threads_do_not_stand_in_line_for_a_login_that_does_not_come(
    proxy: FaultProxy, account: Account
) -> None:
    threads = 10
    together = threading.Barrier(threads)
    proxy.faults.extend([faults.say_nothing] * threads)

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
    assert max(waits) < 1.5  # one after the other, the last would wait for 3 seconds


def test_each_thread_retries_a_login_by_its_own_policy(
    proxy: FaultProxy, far_documents: DocumentClient
) -> None:
    threads = 4
    together = threading.Barrier(threads)
    proxy.faults.append(faults.answer(503))

    def save(number: int) -> None:
        together.wait(timeout=10)
        far_documents.save("airline", {"number": number}, session_id=f"conv-{number}")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(save, range(threads)))
    paths = [seen.path.rpartition("/")[2] for seen in proxy.seen]
    assert paths.count("create") == threads
    assert 2 <= paths.count("login") <= 1 + threads


def test_a_token_that_is_refused_again_is_an_error(
    proxy: FaultProxy, far_documents: DocumentClient
) -> None:
    far_documents.login()
    proxy.faults.extend([faults.answer(401), faults.pass_on, faults.answer(401)])
    with pytest.raises(AuthenticationError):
        far_documents.save("airline", {"a": 1})
    assert len(proxy.seen) == 4


def test_connections_are_kept_and_no_more_than_the_pool_holds(
    proxy: FaultProxy, account: Account
) -> None:
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


def test_nobody_listens(account: Account) -> None:
    with (
        ContextClient("http://127.0.0.1:1", account.id, api_key=account.key, retry=QUICK) as client,
        pytest.raises(ConnectionFailedError, match="refused"),
    ):
        client.list_namespaces()
