"""A million properties out of a namespace and back into it, by one client that sends one request after the other."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import bulk
from benchmarks.lab import Lab
from benchmarks.load import Client, Request
from benchmarks.operations import compact
from benchmarks.parts.comparison import DATABASE
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import ACCOUNT, Instance

_NAMESPACE = "transfer"
_PAGE = 10_000
_LINES = 1_000
_PATCHES = 1_000
_EXT = f"/ext/v1/{ACCOUNT}"
_V1 = f"/v1/account/{ACCOUNT}"


def run(lab: Lab) -> dict[str, Any]:
    """Measures an export, an import of the same lines, and saves by PATCH to compare the import with."""
    instance = lab.instance(DATABASE)
    document = bulk.document()
    with lab.postgres.connect(DATABASE) as connection:
        sessions = session_numbers(lab.scale.million // len(document))
        bulk.load(connection, _NAMESPACE, sessions, document)
        bulk.settle(connection)
    client = Client(instance.port)
    file = lab.directory / "transfer.ndjson"
    lab.postgres.checkpoint()
    exported = _measured(instance, _export(client, instance.headers, file))
    assert exported["properties"] == len(sessions) * len(document)
    delete = Request("DELETE", f"{_V1}/{_NAMESPACE}", status=204, headers=instance.headers)
    client.send(delete)
    lab.postgres.checkpoint()
    patches = _patches_per_second(client, instance.headers, dict(document))
    imported = _measured(instance, _import(client, instance.headers, file))
    assert imported["properties"] == exported["properties"]
    client.send(delete)
    client.close()
    return {
        "bytes": file.stat().st_size,
        "export": exported,
        "import": imported,
        "patch_10_properties_per_second": patches,
    }


def _measured(instance: Instance, steps: Iterator[int]) -> dict[str, Any]:
    """Performs steps, each of which returns how many properties it was about.

    The memory is that of the largest worker, after a tenth of the steps and at the end.
    """
    begin = time.perf_counter()
    counts: list[int] = []
    memories: list[int] = []
    for count in steps:
        counts.append(count)
        memories.append(max(instance.program.workers()))
    seconds = time.perf_counter() - begin
    return {
        "properties": sum(counts),
        "per_second": sum(counts) / seconds,
        "memory_early_bytes": memories[len(memories) // 10],
        "memory_late_bytes": max(memories[-len(memories) // 10 :]),
    }


def _export(client: Client, headers: Mapping[str, str], file: Path) -> Iterator[int]:
    path = f"{_EXT}/export?ns={_NAMESPACE}&limit={_PAGE}"
    after = ""
    with file.open("wb") as text:
        while True:
            page = client.send(Request("GET", path + after, headers=headers))
            text.write(page)
            yield page.count(b'"name":')
            last = json.loads(
                page[page.rindex(b"\n", 0, -1) + 1 :] if page.count(b"\n") > 1 else page
            )
            if last == {"end": True}:
                return
            after = f"&after={last['next']}"


def _import(client: Client, headers: Mapping[str, str], file: Path) -> Iterator[int]:
    headers = {**headers, "Content-Type": "application/x-ndjson"}
    with file.open() as text:
        while lines := [line for _, line in zip(range(_LINES), text, strict=False)]:
            properties = sum('"name":' in line for line in lines)
            others = sum(line.startswith('{"ns"') for line in lines) - properties
            body = "".join(lines)
            answer = client.send(Request("POST", f"{_EXT}/import", body, headers=headers))
            assert json.loads(answer) == {"saved": properties + others, "skipped": 0}
            yield properties


def _patches_per_second(
    client: Client, headers: Mapping[str, str], document: Mapping[str, str]
) -> float:
    """How many properties one client saves in a second, ten by each PATCH, into new sessions."""
    body = compact({name: json.loads(value) for name, value in document.items()})
    begin = time.perf_counter()
    for session in session_numbers(_PATCHES):
        path = f"{_V1}/{_NAMESPACE}_patched/{session}/properties"
        client.send(Request("PATCH", path, body, 204, headers))
    return _PATCHES * len(document) / (time.perf_counter() - begin)
