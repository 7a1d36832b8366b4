"""etcd's JSON gateway: a durable key-value store in Go, used over HTTP. It is not a peer in features."""

import base64
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks.load import Client, Operation, Request
from benchmarks.load.requests import FIRST_SESSION, SESSION, filled
from benchmarks.operations import DOCUMENT, ONE, ONE_VALUE, READS_AFTER_SAVE, TALK, compact
from benchmarks.processes import free_port, listening, output_of, start, wait_until
from benchmarks.stacks.base import HttpStack, MissingError, send_to_all, session_numbers

_INSTALL = "apt-get install etcd-server"


class Etcd(HttpStack):
    """etcd, with a key for each property: session, slash, name. Values are base64."""

    name = "etcd"
    on_postgres = False

    def __init__(self, sessions: int, directory: Path) -> None:
        super().__init__(sessions)
        if shutil.which("etcd") is None:
            raise MissingError(f"etcd is not installed: {_INSTALL}")
        version = output_of(["etcd", "--version"]).split()[2]
        self.title = f"etcd {version}, JSON gateway"
        self.port, peer_port = free_port(), free_port()
        client_url, peer_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{peer_port}"
        command = [
            "etcd", "--data-dir", str(directory / "etcd"), "--log-level", "error",
            "--listen-client-urls", client_url, "--advertise-client-urls", client_url,
            "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
            "--initial-cluster", f"default={peer_url}",
        ]  # fmt: skip
        program = start(self.name, command, directory)
        self.programs = (program,)
        wait_until(listening(self.port), program)
        self.operations = _operations()
        send_to_all(self.port, _save(DOCUMENT), session_numbers(sessions))

    def document(self, client: Client, session: int) -> dict[str, object]:
        found = json.loads(client.send(_call("range", _session()), session))["kvs"]
        return {
            base64.b64decode(pair["key"]).partition(b"/")[2].decode(): json.loads(
                base64.b64decode(pair["value"])
            )
            for pair in found
        }


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _key(name: str) -> str:
    """Returns the key in base64. The eight digits of the session are valid base64 for six bytes."""
    return SESSION + _encoded(f"/{name}")


def _put(name: str, value: object) -> dict[str, str]:
    # Base64 leaves no place for a changing value. etcd writes a new revision anyway.
    text = filled(compact(value), FIRST_SESSION, FIRST_SESSION)
    return {"key": _key(name), "value": _encoded(text)}


def _call(path: str, body: object, shortest: int = 50) -> Request:
    return Request("POST", f"/v3/kv/{path}", compact(body), shortest=shortest)


def _save(properties: Mapping[str, object]) -> Request:
    puts = [_put(name, value) for name, value in properties.items()]
    return _call("txn", {"success": [{"requestPut": put} for put in puts]})


def _session() -> dict[str, str]:
    """Returns the range of all keys of a session: from its slash up to the character after the slash."""
    return {"key": _key(""), "rangeEnd": SESSION + _encoded("0")}


def _operations() -> dict[str, Operation]:
    one = {ONE: ONE_VALUE}
    talk: list[Request] = []
    for turn, name in enumerate(TALK):
        talk += [_call("put", _put(name, DOCUMENT[name]))]
        talk += [_call("range", _session())] * READS_AFTER_SAVE[turn]
    return {
        "read_all": Operation.of(
            Request(
                "POST",
                "/v3/kv/range",
                compact(_session()),
                shortest=600,
                right=lambda body: len(json.loads(body)["kvs"]) == len(DOCUMENT),
            )
        ),
        "read_one": Operation.of(_call("range", {"key": _key(ONE)}, 100)),
        "patch_1": Operation.of(_call("put", _put(ONE, ONE_VALUE)), writes=one),
        "patch_10": Operation.of(_save(DOCUMENT), writes=DOCUMENT),
        "put_1": Operation.of(_call("put", _put(ONE, ONE_VALUE)), writes=one),
        "new_session": Operation.of(_save(DOCUMENT), new_sessions=True),
        "conversation": Operation.of(*talk, _call("deleterange", _session()), new_sessions=True),
    }
