"""An index of a namespace: what it gains a search, and what it costs saves; and how fast a job fills it."""

import json
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from benchmarks import bulk
from benchmarks.lab import Lab
from benchmarks.load import Client, Load, Operation, Request
from benchmarks.operations import ONE, compact
from benchmarks.parts.comparison import sample_figures
from benchmarks.parts.growth import LARGE
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import ACCOUNT, NAMESPACE, Instance, Service

_CONNECTIONS = 16
_SEARCHED = "searched"
_RARE = 1_000
"""One session in so many is found."""
_PAGE = 100
_DEADLINE_SECONDS = 600


def run(lab: Lab) -> dict[str, Any]:
    """Measures the first page that an index finds among a million sessions, and saves of an indexed name."""
    instance = lab.instance(LARGE)
    headers = instance.new_headers("--scope", "admin")
    sessions = lab.scale.million
    [(name, common)] = bulk.numbered(1)
    with lab.postgres.connect(LARGE) as connection:
        found = [number for number in session_numbers(sessions) if number % _RARE == 0]
        others = [number for number in session_numbers(sessions) if number % _RARE]
        bulk.load(connection, _SEARCHED, found, [(name, '"rare"')])
        bulk.load(connection, _SEARCHED, others, [(name, common)])
        bulk.settle(connection)
    began = time.perf_counter()
    _set_index(instance, headers, _SEARCHED, [name])
    filled = time.perf_counter() - began
    return {
        "sessions": sessions,
        "fill_sessions_per_second": sessions / filled,
        "pages": _pages(lab, instance, name),
        "saves": _saves(lab, instance, headers),
    }


def _pages(lab: Lab, instance: Instance, name: str) -> list[dict[str, float]]:
    """The first page of a search and of `session-properties`, in turns: pages per second."""
    service = Service(instance, 1)
    body = {"where": {name: "rare"}, "fields": True, "limit": _PAGE}

    found = min(_PAGE, lab.scale.million // _RARE)
    service.operations = {
        "find": Operation.of(
            Request(
                "POST", f"/ext/v1/{ACCOUNT}/namespaces/{_SEARCHED}/find", compact(body),
                headers=instance.headers,
                right=lambda content: len(json.loads(content)["sessions"]) == found,
            )
        ),
        "list": Operation.of(
            Request(
                "GET", f"/v1/account/{ACCOUNT}/{_SEARCHED}/session-properties?perPage={_PAGE}",
                headers=instance.headers, right=lambda content: len(json.loads(content)) == _PAGE,
            )
        ),
    }  # fmt: skip
    service.check()
    load = Load(_CONNECTIONS, lab.scale.seconds)
    return [
        {name: service.measure(name, load).per_second for name in service.operations}
        for _ in range(lab.scale.rounds)
    ]


def _saves(lab: Lab, instance: Instance, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Saves of one property while it is indexed and while it is not, in turns."""
    service = Service(instance, lab.scale.sessions)
    load = Load(_CONNECTIONS, lab.scale.seconds)
    rounds = []
    for round_ in range(lab.scale.rounds):
        figures = {}
        for index in ("without", "with")[:: 1 if round_ % 2 else -1]:
            _set_index(instance, headers, NAMESPACE, [ONE] if index == "with" else [])
            lab.postgres.checkpoint()
            figures[index] = sample_figures(lab.sample(service, "patch_1", load))
        rounds.append(figures)
    _set_index(instance, headers, NAMESPACE, [])
    return rounds


def _set_index(
    instance: Instance, headers: Mapping[str, str], namespace: str, names: list[str]
) -> None:
    """Sets the names that are indexed, and returns when the index is filled."""
    path = f"/ext/v1/{ACCOUNT}/namespaces/{namespace}"
    # The service closes a connection that was idle while something was measured.
    with closing(Client(instance.port)) as client:
        _fill_index(client, headers, path, names)


def _fill_index(client: Client, headers: Mapping[str, str], path: str, names: list[str]) -> None:
    client.send(Request("PATCH", path, compact({"index": names}), headers=headers))
    deadline = time.perf_counter() + _DEADLINE_SECONDS
    while True:
        settings = json.loads(client.send(Request("GET", path, headers=headers)))
        if settings["indexState"] == "ready":
            return
        if time.perf_counter() > deadline:
            raise RuntimeError(f"the index is not filled after {_DEADLINE_SECONDS} s")
        time.sleep(0.1)
