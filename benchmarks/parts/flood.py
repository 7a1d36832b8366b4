"""One account's flood of deep listings, and how long another account's requests take meanwhile."""

import threading
import time
from statistics import median, quantiles
from typing import Any

from benchmarks import bulk
from benchmarks.lab import Lab
from benchmarks.load import Client, Request
from benchmarks.load.requests import WrongResponseError
from benchmarks.parts.growth import LARGE
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import ACCOUNT, Instance

_SHARE_OF_MILLION = 0.3
_PER_PAGE = 100
_CONNECTIONS = (4, 12)
_OTHER = "neighbour"


def run(lab: Lab) -> dict[str, Any]:
    """Measures p95 of one client's reads and saves: alone, and while 4 and 12 connections list deep pages."""
    instance = lab.instance(LARGE)
    sessions = int(lab.scale.million * _SHARE_OF_MILLION)
    with lab.postgres.connect(LARGE) as connection:
        bulk.load(connection, "flooded", session_numbers(sessions), bulk.numbered(1))
        bulk.settle(connection)
    last_page = sessions // _PER_PAGE - 1
    path = f"/v1/account/{ACCOUNT}/flooded/session-ids?page={last_page}&perPage={_PER_PAGE}"
    listing = Request("GET", path, headers=instance.headers)
    place = f"/v1/account/{_OTHER}/calm/1/properties"
    headers = instance.headers_of(_OTHER)
    save = Request("PATCH", place, '{"step":1}', 204, headers)
    read = Request("GET", place, headers=headers)
    client = Client(instance.port)
    client.send(save)
    rounds: list[dict[str, Any]] = []
    for _ in range(lab.scale.rounds):
        alone = _p95(client, (save, read), lab.scale.seconds)
        flooded = {}
        for connections in _CONNECTIONS:
            with _Flood(instance, listing, connections):
                flooded[str(connections)] = _p95(client, (save, read), lab.scale.seconds)
        rounds.append({"alone": alone, "flooded": flooded})
    client.close()
    return {
        "sessions": sessions,
        "ratios": {
            str(connections): median(
                each["flooded"][str(connections)] / each["alone"] for each in rounds
            )
            for connections in _CONNECTIONS
        },
        "rounds": rounds,
    }


def _p95(client: Client, requests: tuple[Request, ...], seconds: float) -> float:
    """Returns the 95th percentile of the times of requests one after another, in ms."""
    times = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for request in requests:
            begin = time.perf_counter()
            client.send(request)
            times.append((time.perf_counter() - begin) * 1000)
    return quantiles(times, n=20, method="inclusive")[18]


class _Flood:
    """Lists deep pages on several connections for the length of a block. Refused requests are part of it."""

    def __init__(self, instance: Instance, listing: Request, connections: int) -> None:
        self._port = instance.port
        self._listing = listing
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._list) for _ in range(connections)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _list(self) -> None:
        client = Client(self._port)
        while not self._stopping.is_set():
            try:
                client.send(self._listing)
            except WrongResponseError as refused:
                if "returned 503" not in str(refused):
                    raise
        client.close()
