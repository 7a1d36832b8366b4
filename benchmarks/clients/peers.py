"""The clients that are compared: how each is made, reads, writes, and tells of an error.

They are imported by their names, because they are installed only where the comparison runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from benchmarks.clients.server import REQUEST_ID


class Peer(ABC):
    """A client as its documentation first shows it."""

    distribution: str
    asynchronous: str
    speaks_http = True

    @abstractmethod
    def client(self, url: str, **options: Any) -> Any: ...

    @abstractmethod
    def read(self, client: Any) -> Any: ...

    @abstractmethod
    def write(self, client: Any) -> Any:
        """Performs a write that has a second effect if it is repeated, or the only write that there is."""

    @abstractmethod
    def timeout(self, client: Any) -> Any:
        """Returns the default timeout: seconds, a pair of connecting and reading, or None."""

    @abstractmethod
    def impatient(self, url: str, seconds: float) -> Any:
        """Returns a client whose every limit of time is so short, and that does not retry."""

    def retrying(self, url: str) -> Any:
        """Returns a client that retries, if it can."""
        return self.client(url)

    def limited(self, url: str, seconds: float) -> tuple[Any, float] | None:
        """Returns a client that stops retrying after so long, and its default; None if there is no such option."""
        return None

    def one_call(self, client: Any) -> str | None:
        """Reads with another timeout or number of retries; returns how, or None if there is no way."""
        return None

    def success_headers(self, client: Any) -> tuple[str, Any] | None:
        """Returns how to get the headers of a successful response, and what that returned."""
        return None

    def request_id(self, error: Exception) -> tuple[str, Any] | None:
        return None

    def digits(self, client: Any, url: str) -> tuple[str, Any]:
        """Returns how the number was read, and what it is."""
        return "", self.number(self.read(client))

    def number(self, result: Any) -> Any:
        return result["number"]

    async def read_asynchronously(self, url: str) -> Any:
        raise NotImplementedError


class Ours(Peer):
    distribution, asynchronous = "ccs-sdk", "`AsyncContextClient`"

    def client(self, url: str, **options: Any) -> Any:
        return import_module("ccs_sdk").ContextClient(url, "acme", api_key="key", **options)

    def read(self, client: Any) -> Any:
        return client.get_property("airline", "thing")

    def write(self, client: Any) -> Any:
        return client.namespace("airline").increment("count")

    def timeout(self, client: Any) -> Any:
        return import_module("ccs_sdk._options").DEFAULT_TIMEOUT

    def impatient(self, url: str, seconds: float) -> Any:
        policy = import_module("ccs_sdk").RetryPolicy(attempts=1, total_time=2 * seconds)
        return self.client(url, timeout=seconds, retry=policy)

    def limited(self, url: str, seconds: float) -> tuple[Any, float] | None:
        policy = import_module("ccs_sdk").RetryPolicy
        return self.client(
            url, retry=policy(attempts=100_000, total_time=seconds)
        ), policy().total_time

    def one_call(self, client: Any) -> str | None:
        self.read(client.with_options(timeout=0.5, retry=None))
        return "`with_options`"

    def success_headers(self, client: Any) -> tuple[str, Any] | None:
        with import_module("ccs_sdk").recorded_responses() as responses:
            self.read(client)
        return "`recorded_responses`", responses[0].headers

    def request_id(self, error: Exception) -> tuple[str, Any] | None:
        return "`request_id`", getattr(error, "request_id", None)

    def digits(self, client: Any, url: str) -> tuple[str, Any]:
        return "`decimals=True`", self.number(self.read(self.client(url, decimals=True)))

    async def read_asynchronously(self, url: str) -> Any:
        async with import_module("ccs_sdk.aio").AsyncContextClient(
            url, "acme", api_key="key"
        ) as client:
            return await client.get_property("airline", "thing")


class Kinto(Peer):
    distribution, asynchronous = "kinto-http", "`AsyncClient`"

    def client(self, url: str, **options: Any) -> Any:
        made = import_module("kinto_http").Client
        return made(
            server_url=url, bucket="b", collection="c", auth=("user", "password"), **options
        )

    def read(self, client: Any) -> Any:
        return client.get_record(id="1")

    def write(self, client: Any) -> Any:
        return client.create_record(data={"id": "1"}, safe=False)

    def timeout(self, client: Any) -> Any:
        return client.session.timeout or None

    def impatient(self, url: str, seconds: float) -> Any:
        return self.client(url, timeout=seconds, retry=0)

    def retrying(self, url: str) -> Any:
        return self.client(url, retry=2)

    def success_headers(self, client: Any) -> tuple[str, Any] | None:
        return "`session.request`", client.session.request("get", "/buckets")[1]

    def request_id(self, error: Exception) -> tuple[str, Any] | None:
        return "headers of `response`", _of(error, lambda e: e.response.headers["X-Request-ID"])

    async def read_asynchronously(self, url: str) -> Any:
        made = import_module("kinto_http").AsyncClient
        client = made(server_url=url, bucket="b", collection="c", auth=("user", "password"))
        return await client.get_record(id="1")


class Stripe(Peer):
    distribution, asynchronous = "stripe", "methods `…_async`"

    def client(self, url: str, **options: Any) -> Any:
        return import_module("stripe").StripeClient("key", base_addresses={"api": url}, **options)

    def read(self, client: Any) -> Any:
        return client.v1.customers.retrieve("1")

    def write(self, client: Any) -> Any:
        return client.v1.customers.create({"name": "Ana"})

    def timeout(self, client: Any) -> Any:
        return import_module("stripe._http_client").new_default_http_client()._timeout  # noqa: SLF001

    def impatient(self, url: str, seconds: float) -> Any:
        http = import_module("stripe").RequestsClient(timeout=seconds)
        return self.client(url, http_client=http, max_network_retries=0)

    def retrying(self, url: str) -> Any:
        return self.client(url, max_network_retries=2)

    def one_call(self, client: Any) -> str | None:
        client.v1.customers.retrieve("1", options={"max_network_retries": 0})
        return "`options`, but no timeout"

    def success_headers(self, client: Any) -> tuple[str, Any] | None:
        return "`last_response`", self.read(client).last_response.headers

    def request_id(self, error: Exception) -> tuple[str, Any] | None:
        return "`request_id`", getattr(error, "request_id", None)

    async def read_asynchronously(self, url: str) -> Any:
        return await self.client(url).v1.customers.retrieve_async("1")


class OpenAI(Peer):
    distribution, asynchronous = "openai", "`AsyncOpenAI`"

    def client(self, url: str, **options: Any) -> Any:
        return import_module("openai").OpenAI(api_key="key", base_url=url, **options)

    def read(self, client: Any) -> Any:
        return client.models.retrieve("1")

    def write(self, client: Any) -> Any:
        return client.chat.completions.create(model="m", messages=[])

    def timeout(self, client: Any) -> Any:
        return client.timeout.connect, client.timeout.read

    def impatient(self, url: str, seconds: float) -> Any:
        return self.client(url, timeout=seconds, max_retries=0)

    def one_call(self, client: Any) -> str | None:
        self.read(client.with_options(timeout=0.5, max_retries=0))
        client.models.retrieve("1", timeout=0.5)
        return "`with_options`, arguments"

    def success_headers(self, client: Any) -> tuple[str, Any] | None:
        return "`with_raw_response`", client.models.with_raw_response.retrieve("1").headers

    def request_id(self, error: Exception) -> tuple[str, Any] | None:
        return "`request_id`", getattr(error, "request_id", None)

    def number(self, result: Any) -> Any:
        return result.number

    async def read_asynchronously(self, url: str) -> Any:
        async with import_module("openai").AsyncOpenAI(api_key="key", base_url=url) as client:
            return await client.models.retrieve("1")


class Httpx(Peer):
    asynchronous = "`AsyncClient`"

    def __init__(self, module: str) -> None:
        self.distribution = module

    def client(self, url: str, **options: Any) -> Any:
        return import_module(self.distribution).Client(base_url=url, **options)

    def read(self, client: Any) -> Any:
        return client.get("/1").raise_for_status()

    def write(self, client: Any) -> Any:
        return client.post("/1", json={}).raise_for_status()

    def timeout(self, client: Any) -> Any:
        return client.timeout.read

    def impatient(self, url: str, seconds: float) -> Any:
        return self.client(url, timeout=seconds)

    def one_call(self, client: Any) -> str | None:
        client.get("/1", timeout=0.5)
        return "arguments"

    def success_headers(self, client: Any) -> tuple[str, Any] | None:
        return "the response itself", self.read(client).headers

    def request_id(self, error: Exception) -> tuple[str, Any] | None:
        return "headers of `response`", _of(error, lambda e: e.response.headers["X-Request-ID"])

    def digits(self, client: Any, url: str) -> tuple[str, Any]:
        return "`json(parse_float=Decimal)`", self.read(client).json(parse_float=Decimal)["number"]

    async def read_asynchronously(self, url: str) -> Any:
        async with import_module(self.distribution).AsyncClient(base_url=url) as client:
            return await client.get("/1")


class Redis(Peer):
    distribution, asynchronous = "redis", "`redis.asyncio.Redis`"
    speaks_http = False

    def client(self, url: str, **options: Any) -> Any:
        place = urlsplit(url)
        made = import_module("redis").Redis
        return made(host=place.hostname, port=place.port, decode_responses=True, **options)

    def read(self, client: Any) -> Any:
        return client.get("thing")

    def write(self, client: Any) -> Any:
        return client.incr("count")

    def timeout(self, client: Any) -> Any:
        # The defaults are those of a connection, not of `get_connection_kwargs`.
        connection = client.connection_pool.make_connection()
        return connection.socket_connect_timeout, connection.socket_timeout

    def impatient(self, url: str, seconds: float) -> Any:
        return self.client(url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=None)

    def digits(self, client: Any, url: str) -> tuple[str, Any]:
        return "strings", Decimal(self.read(client))

    async def read_asynchronously(self, url: str) -> Any:
        made = import_module("redis.asyncio").Redis.from_url(url.replace("http:", "redis:"))
        async with made as client:
            return await client.get("thing")


def _of(error: Exception, read: Callable[[Any], Any]) -> Any:
    """Returns what is read of the error, or None if it has nothing of the kind."""
    try:
        return read(error)
    except (AttributeError, KeyError):
        return None


PEERS: list[Peer] = [
    Ours(), Kinto(), Stripe(), OpenAI(), Httpx("httpx"), Httpx("httpx2"), Redis(),
]  # fmt: skip

__all__ = ["PEERS", "REQUEST_ID", "Peer"]
