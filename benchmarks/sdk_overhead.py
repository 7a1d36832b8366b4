"""Measures the CPU that the SDK adds to a bare call of its HTTP library to the same URL, and to its import.

    python benchmarks/sdk_overhead.py

The server runs in a child process, so that the CPU of this process is that of the client. Blocks of bare calls and of
SDK calls take turns, and the best blocks are compared, because disturbances can only add time.

The bare call of `requests` that the budget counts is used as the SDK uses it: a session with the same settings, which
does not look for proxies and certificates in the environment at each call (`trust_env = False`), the same headers,
timeouts and authentication, and the response's JSON decoded or its status checked. The call of a program that just
passes its headers to a session is shown beside it. The SDK traces requests if `opentelemetry-api` is installed; the
budget is without, and what that adds is shown too.

The asynchronous clients are compared by the calls that one core makes in a second of its CPU, many at a time; the bare
call of httpx2 neither checks nor decodes. The exit code is 1 if a synchronous call exceeds the budget.
"""

import asyncio
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from unittest.mock import patch
from uuid import uuid4

import httpx2
import requests
from requests.auth import AuthBase

from ccs_sdk import ContextClient
from ccs_sdk.aio import AsyncContextClient

BLOCKS = 50
CALLS = 50
BUDGET_MICROSECONDS = 20
TASKS = 16
PROPERTIES = {f"property-{number}": f"value {number}" for number in range(10)}


class Handler(BaseHTTPRequestHandler):
    """Returns ten properties for a GET, and 204 for a PATCH."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    body = json.dumps(PROPERTIES).encode()

    def do_GET(self) -> None:
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response_only(204)
        self.end_headers()


def serve(port: Connection) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port.send(server.server_address[1])
        server.serve_forever()


def cpu_per_call(call: Callable[[], object]) -> float:
    """Returns the CPU of this process for each call, in microseconds."""
    begin = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - begin) / CALLS * 1e6


def overhead(bare: Callable[[], object], sdk: Callable[[], object]) -> tuple[float, float]:
    """Returns the CPU of the bare call and what the SDK adds to it, in microseconds."""
    cpu_per_call(bare), cpu_per_call(sdk)  # opens connections and fills caches
    blocks = [(cpu_per_call(bare), cpu_per_call(sdk)) for _ in range(BLOCKS)]
    best = min(bare for bare, _ in blocks)
    return best, min(sdk for _, sdk in blocks) - best


def import_milliseconds(module: str) -> float:
    """Returns the minimum CPU of the import in a new interpreter, over several runs."""
    timed = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", timed], check=True, capture_output=True).stdout)
        for _ in range(11)
    ]
    return min(times) * 1e3


class Key(AuthBase):
    """Adds the key, as the SDK does; without `auth`, requests would look for a netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["maven-api-key"] = "key"
        return request


class Careful:
    """Calls of `requests` with what the SDK passes to it, and no more."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        found = self.session.merge_environment_settings(url, {}, None, None, None)
        self.session.verify, self.session.proxies = found["verify"], found["proxies"]
        self.session.trust_env = False

    def get(self) -> object:
        return self.send("GET", None, {}).json()

    def patch(self) -> object:
        body = json.dumps({"intent": "rebook"})
        response = self.send("PATCH", body, {"Content-Type": "application/json"})
        assert response.status_code == 204
        return None

    def send(self, method: str, body: str | None, more: dict[str, str]) -> requests.Response:
        headers = {
            "Accept": "application/json",
            "User-Agent": "bare",
            "X-Request-ID": uuid4().hex,
            **more,
        }
        response = self.session.request(
            method, self.url, data=body, headers=headers, auth=Key(), timeout=(3.05, 10), allow_redirects=False
        )  # fmt: skip
        response.raise_for_status()
        return response


def compare_calls(url: str) -> list[float]:
    path = f"{url}/v1/account/acme/airline/conv-1/properties"
    headers = {"maven-api-key": "key"}
    careful = Careful(path)
    with requests.Session() as session, untraced_client(url) as client:
        call = client.namespace("airline").session("conv-1")
        added = [
            compare("GET of 10 properties", careful.get, call.all),
            compare(
                "PATCH of 1 property", careful.patch, lambda: call.update({"intent": "rebook"})
            ),
        ]
        compare(
            "GET, beside a session that looks into the environment",
            lambda: session.get(path, headers=headers, timeout=10).json(),
            call.all,
        )
    with ContextClient(url, "acme", api_key="key") as client:
        call = client.namespace("airline").session("conv-1")
        compare("GET, with opentelemetry-api", careful.get, call.all)
    return added


@contextmanager
def untraced_client(url: str) -> Generator[ContextClient]:
    """A client made as if `opentelemetry-api` were not installed."""
    with patch.dict(sys.modules, {"opentelemetry": None}):
        client = ContextClient(url, "acme", api_key="key")
    with client:
        yield client


def compare(name: str, bare: Callable[[], object], sdk: Callable[[], object]) -> float:
    """Prints and returns what the SDK adds to the bare call, in microseconds."""
    base, more = overhead(bare, sdk)
    print(f"{name}: bare {base:.0f} µs of CPU, with the SDK {more:+.0f} µs")
    return more


async def calls_per_second(call: Callable[[], Awaitable[object]]) -> float:
    """Returns the calls for each second of this process' CPU, with several tasks at a time."""

    async def work() -> None:
        for _ in range(CALLS):
            await call()

    begin = time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(TASKS):
            tasks.create_task(work())
    return TASKS * CALLS / (time.process_time() - begin)


async def compare_asynchronous_calls(url: str) -> None:
    path = f"{url}/v1/account/acme/airline/conv-1/properties"
    headers = {"maven-api-key": "key"}
    async with (
        httpx2.AsyncClient(limits=httpx2.Limits(max_keepalive_connections=TASKS)) as http,
        AsyncContextClient(url, "acme", api_key="key", pool_size=TASKS) as client,
    ):
        call = client.namespace("airline").session("conv-1")

        async def bare() -> object:
            return await http.get(path, headers=headers, timeout=10)

        await calls_per_second(bare), await calls_per_second(call.all)
        blocks = [
            (await calls_per_second(bare), await calls_per_second(call.all)) for _ in range(9)
        ]
    best, ours = (max(figures) for figures in zip(*blocks, strict=True))
    print(
        f"async GET of 10 properties: bare httpx2 {best:.0f}/s of a core, with the SDK {ours:.0f}/s"
    )


def main() -> int:
    ours, port = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}"
        added = compare_calls(url)
        asyncio.run(compare_asynchronous_calls(url))
    finally:
        server.terminate()
        server.join()
    requests_alone, with_sdk = import_milliseconds("requests"), import_milliseconds("ccs_sdk")
    print(
        f"import: requests {requests_alone:.0f} ms of CPU, with the SDK {with_sdk - requests_alone:+.0f} ms"
    )
    return int(max(added) > BUDGET_MICROSECONDS)


if __name__ == "__main__":
    sys.exit(main())
