"""Measures the CPU that the SDK adds to a bare call of its HTTP library to the same URL, and to its import.

    python benchmarks/sdk_overhead.py

The server runs in a child process, so that the CPU of this process is that of the client. Blocks of bare calls and of
SDK calls take turns, and the best blocks are compared, because disturbances can only add time. The SDK checks what it
sends and decodes the JSON that it receives; the bare call does neither. But `requests` looks for proxies and
certificates in the environment at each call, and the SDK once; so a GET is also compared with a session that does not
look (`trust_env = False`), which the budget does not count. The asynchronous clients are compared by the
calls that one core makes in a second of its CPU, many at a time. The exit code is 1 if a synchronous call exceeds the
budget.
"""

import asyncio
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection

import httpx2
import requests

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


def compare_calls(url: str) -> list[float]:
    path = f"{url}/v1/account/acme/airline/conv-1/properties"
    headers = {"maven-api-key": "key"}
    body = json.dumps({"intent": "rebook"})
    json_headers = headers | {"Content-Type": "application/json"}
    with (
        requests.Session() as session,
        requests.Session() as blind,
        ContextClient(url, "acme", api_key="key") as client,
    ):
        blind.trust_env = False
        call = client.namespace("airline").session("conv-1")
        get = compare(
            "GET of 10 properties",
            lambda: session.get(path, headers=headers, timeout=10),
            call.all,
        )
        patch = compare(
            "PATCH of 1 property",
            lambda: session.patch(path, data=body, headers=json_headers, timeout=10),
            lambda: call.update({"intent": "rebook"}),
        )
        compare(
            "GET, bare without the environment",
            lambda: blind.get(path, headers=headers, timeout=10),
            call.all,
        )
        return [get, patch]


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
