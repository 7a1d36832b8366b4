"""What only the asynchronous clients do: cancellation, many calls in one loop, asyncio and trio.

What they share with the synchronous ones is held by the tests that use the fixture `both`.
"""

import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup

from ccs_sdk import (
    ClientClosedError,
    ConfigurationError,
    ConnectionFailedError,
    LeasedError,
    LeaseLostError,
    PropertyNotFoundError,
    RetryPolicy,
    Token,
    recorded_responses,
)
from ccs_sdk.aio import AsyncContextClient, AsyncDocumentClient
from ccs_sdk.aio._tokens import AsyncTokenCache
from ccs_sdk.models import FOREVER
from tests.sdk import faults
from tests.sdk.faults import FaultProxy
from tests.support.service import Account

pytestmark = pytest.mark.anyio

AT_ONCE = 2.0
"""Far less than the timeouts and waits that a cancelled call would have to sit out."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def client(account: Account) -> AsyncIterator[AsyncContextClient]:
    async with AsyncContextClient(account.server_url, account.id, api_key=account.key) as client:
        yield client


@pytest.fixture
async def proxied(proxy: FaultProxy, account: Account) -> AsyncIterator[AsyncContextClient]:
    async with AsyncContextClient(proxy.url, account.id, api_key=account.key) as client:
        yield client


async def _until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - conditions of another thread
            await anyio.sleep(0.005)


async def test_the_usual_calls(client: AsyncContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    await call.set("intent", "rebook")
    await call.update({"step": 3})
    assert await call["intent"] == "rebook"
    assert await call.get("seat", "any") == "any"
    assert await call.has("step")
    assert [name async for name in call] == ["intent", "step"]
    assert dict(await call.items()) == {"intent": "rebook", "step": 3}
    assert await call.increment("step") == 4
    with pytest.raises(PropertyNotFoundError):
        await call["seat"]
    async with client.batch() as batch:
        turns = batch.session("airline", "conv-2").increment("turns")
    assert turns.value == 1
    assert [session async for session in client.iter_sessions("airline")] == ["conv-1", "conv-2"]
    found = client.namespace("airline").find(where={"intent": "rebook"})
    assert [hit.session_id async for hit in found] == ["conv-1"]
    async with call.lease(30, owner="bot-7") as turn:
        await turn.set("intent", "cancel")
    await call.set_ttl(60)
    assert (await call.get_ttl()) != FOREVER
    await call.drop()
    assert await call.all() == {}


async def test_clients_share_the_certificates_that_are_trusted_by_default(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them holds the event loop for as long as ten requests take."""
    read: list[ssl.SSLContext] = []
    load = ssl.SSLContext.load_verify_locations

    def noted(context: ssl.SSLContext, *arguments: Any) -> None:
        read.append(context)
        load(context, *arguments)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noted)
    for _ in range(3):
        async with AsyncContextClient(
            account.server_url, account.id, api_key=account.key
        ) as client:
            await client.get_properties("airline")
    assert len(read) <= 1


async def test_documents(account: Account) -> None:
    async with AsyncDocumentClient(
        account.server_url, account.id, username=account.username, password=account.password
    ) as client:
        await client.save("airline", {"a": 1})
        assert (await client.get("airline")).payload == {"a": 1}


async def test_many_calls_run_at_a_time_over_the_pool(proxy: FaultProxy, account: Account) -> None:
    async with AsyncContextClient(
        proxy.url, account.id, api_key=account.key, pool_size=4
    ) as client:

        async def work(number: int) -> None:
            call = client.namespace("airline").session(f"conv-{number}")
            for step in range(5):
                await call.set("step", step)
            assert await call["step"] == 4

        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(work, number)
    assert len(proxy.seen) == 24
    assert proxy.connections <= 4


async def _cancelled(
    tasks: TaskGroup, call: Callable[[], Awaitable[object]], begun: Callable[[], object]
) -> float:
    """Cancels the call when it has begun. Returns the seconds until it has ended."""
    ended = anyio.Event()
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await call()
        ended.set()

    tasks.start_soon(run)
    await _until(begun)
    begin = time.monotonic()
    scope.cancel()
    await ended.wait()
    assert scope.cancelled_caught
    return time.monotonic() - begin


async def test_cancellation_ends_a_call_that_waits_for_its_response(
    proxy: FaultProxy, proxied: AsyncContextClient
) -> None:
    proxy.faults.append(faults.never_respond)
    async with anyio.create_task_group() as tasks:
        assert await _cancelled(tasks, proxied.list_namespaces, lambda: proxy.seen) < AT_ONCE
    assert await proxied.list_namespaces() == []  # the client works as before
    assert len(proxy.seen) == 2


async def test_cancellation_ends_the_wait_before_a_retry(
    proxy: FaultProxy, account: Account
) -> None:
    retries: list[object] = []
    proxy.faults.append(faults.respond(503, Retry_After="15"))
    async with (
        AsyncContextClient(
            proxy.url, account.id, api_key=account.key, on_retry=retries.append
        ) as client,
        anyio.create_task_group() as tasks,
    ):
        assert await _cancelled(tasks, client.list_namespaces, lambda: retries) < AT_ONCE
    assert len(proxy.seen) == 1


async def test_a_service_that_is_down_never_holds_the_loop(proxy: FaultProxy) -> None:
    policy = RetryPolicy(total_time=1.5)
    proxy.faults.extend([faults.never_respond, faults.reset_before] * 20)
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            begin = time.monotonic()
            await anyio.sleep(0.01)
            longest = max(longest, time.monotonic() - begin)

    async with (
        AsyncContextClient(proxy.url, "acme", api_key="key", retry=policy, timeout=0.3) as slow,
        AsyncContextClient("http://127.0.0.1:1", "acme", api_key="key", retry=policy) as refused,
    ):
        await refused.with_options(retry=None).batch().__aenter__()  # sends nothing
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            for client in (slow, refused):
                with pytest.raises((ConnectionFailedError, TimeoutError)):
                    await client.list_namespaces()
            tasks.cancel_scope.cancel()
    assert longest < 1.0  # with blocking calls, it would be all of the three seconds


async def test_responses_of_tasks_that_begin_in_the_block_are_recorded(
    client: AsyncContextClient,
) -> None:
    with recorded_responses() as responses:
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(client.set_property, "airline", f"p{number}", number)
    await client.list_namespaces()
    assert [event.status for event in responses] == [204] * 3


async def test_a_handle_refuses_what_cannot_wait(client: AsyncContextClient) -> None:
    call: Any = client.namespace("airline").session("conv-1")
    with pytest.raises(TypeError, match="not a container"):
        _ = "intent" in call
    with pytest.raises(TypeError, match="not iterable"):
        iter(call)
    with pytest.raises(TypeError, match="does not support item assignment"):
        call["intent"] = "rebook"
    with pytest.raises(TypeError, match="support item deletion"):
        del call["intent"]
    with pytest.raises(AttributeError):
        call.ttl = 60


async def test_the_block_of_a_lease_raises_its_own_errors(client: AsyncContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    with pytest.raises(LookupError):
        async with call.lease(30, owner="bot-7"):
            raise LookupError
    with pytest.raises(LeasedError) as leased:
        async with call.lease(30, owner="bot-7"), call.lease(30, owner="bot-8"):
            pass
    assert leased.value.lease is not None
    async with call.lease(30, owner="bot-9"):  # both were released
        pass


async def test_a_cancelled_block_releases_its_lease(client: AsyncContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    held = anyio.Event()

    async def hold() -> None:
        async with call.lease(600, owner="bot-7"):
            held.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        assert await _cancelled(tasks, hold, held.is_set) < 2 * AT_ONCE
    async with call.lease(1, owner="bot-8"):
        pass


async def test_a_service_that_is_down_delays_the_end_of_a_cancelled_block_a_second_at_most(
    proxy: FaultProxy, proxied: AsyncContextClient
) -> None:
    held = anyio.Event()

    async def hold() -> None:
        async with proxied.namespace("airline").lease(600, owner="bot-7"):
            proxy.faults.extend([faults.never_respond] * 9)
            held.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        assert await _cancelled(tasks, hold, held.is_set) < 1 + AT_ONCE


async def test_a_task_renews_the_lease_until_the_block_ends(client: AsyncContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    async with call.lease(1, owner="bot-7") as turn:
        first = turn.expires_at
        await _until(lambda: turn.expires_at > first)
    with pytest.raises(LeaseLostError, match="was released"):
        await turn.set("a", 1)


class Logins:
    """A login that waits until it may end."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = anyio.Event()

    async def __call__(self) -> Token:
        self.begun += 1
        await self.may_end.wait()
        return Token("token", FOREVER.resolution * 10**9)


async def test_tasks_wait_for_one_login() -> None:
    cache, logins, tokens = AsyncTokenCache(), Logins(), list[Token]()

    async def log_in() -> None:
        tokens.append(await cache.renew(logins, 10))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(log_in)
        await _until(lambda: logins.begun)
        logins.may_end.set()
    assert logins.begun == 1
    assert len(tokens) == 5
    assert set(tokens) == {cache.current()}


async def test_a_cancelled_login_is_retryable_for_the_tasks_that_wait_for_it() -> None:
    cache, logins = AsyncTokenCache(), Logins()
    errors: list[BaseException] = []

    async def wait() -> None:
        try:
            await cache.renew(logins, 10)
        except ConnectionFailedError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:

        async def first() -> object:
            return await cache.renew(logins, 10)

        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as leaders:
                leaders.start_soon(first)
                await _until(lambda: logins.begun)
                tasks.start_soon(wait)
                await anyio.lowlevel.checkpoint()
                scope.cancel()
    assert [str(error) for error in errors] == ["The login was interrupted."]
    logins.may_end.set()
    assert await cache.renew(logins, 10) is cache.current()


async def test_a_task_waits_for_another_login_only_for_max_wait() -> None:
    cache, logins = AsyncTokenCache(), Logins()
    async with anyio.create_task_group() as tasks:

        async def first() -> None:
            await cache.renew(logins, 10)

        tasks.start_soon(first)
        await _until(lambda: logins.begun)
        with pytest.raises(TimeoutError, match="took longer than the timeout"):
            await cache.renew(logins, 0.01)
        logins.may_end.set()


async def test_a_given_client_sends_and_stays_open(proxy: FaultProxy, account: Account) -> None:
    async with httpx2.AsyncClient(headers={"X-Team": "blue"}) as http:
        async with AsyncContextClient(
            proxy.url, account.id, api_key=account.key, http_client=http
        ) as client:
            await client.list_namespaces()
        assert proxy.seen[0].headers["X-Team"] == "blue"
        assert not http.is_closed
        with pytest.raises(ClientClosedError):
            await client.list_namespaces()
        with pytest.raises(ConfigurationError, match="of the http_client itself"):
            AsyncContextClient("http://x", "acme", api_key="k", http_client=http, verify=False)


async def test_files_that_cannot_be_read_are_named() -> None:
    for options in ({"verify": "/none.pem"}, {"cert": "/none.pem"}):
        client = AsyncContextClient("https://x", "acme", api_key="k", **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(ConfigurationError, match="The files of verify or cert cannot be read"):
            await client.list_namespaces()


def test_without_the_extra_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['httpx2'] = None; import ccs_sdk; import ccs_sdk.aio"
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: The asynchronous clients need httpx2: pip install 'ccs-sdk[async]'."
    )
