"""webdis over Redis: HTTP in C, and an in-memory store with a synchronous log. It is not a peer in features."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from benchmarks.load import Client, Operation, Request
from benchmarks.load.requests import SESSION
from benchmarks.operations import (
    DOCUMENT,
    NAMES,
    ONE,
    ONE_VALUE,
    READS_AFTER_SAVE,
    TALK,
    compact,
)
from benchmarks.processes import Usage, free_port, listening, output_of, start, wait_until
from benchmarks.stacks.base import HttpStack, MissingError, send_to_all, session_numbers

_INSTALL = "apt-get install webdis redis-server"


class Webdis(HttpStack):
    """webdis, with a hash for each session and a field with JSON text for each property."""

    name = "webdis"
    on_postgres = False

    def __init__(self, sessions: int, directory: Path) -> None:
        super().__init__(sessions)
        for needed in ("webdis", "redis-server"):
            if shutil.which(needed) is None:
                raise MissingError(f"{needed} is not installed: {_INSTALL}")
        version = output_of(["redis-server", "--version"]).split("v=")[1].split()[0]
        self.title = f"webdis over Redis {version}, appendfsync always"
        store = directory / "redis"
        store.mkdir()
        redis_port, self.port = free_port(), free_port()
        self._redis = start(
            "redis",
            [
                "redis-server", "--port", str(redis_port), "--bind", "127.0.0.1",
                "--dir", str(store), "--appendonly", "yes", "--appendfsync", "always",
                "--save", "",
            ],
            directory,
        )  # fmt: skip
        wait_until(listening(redis_port), self._redis)
        settings = {
            "redis_host": "127.0.0.1",
            "redis_port": redis_port,
            "http_host": "127.0.0.1",
            "http_port": self.port,
            "threads": 2,
            "pool_size": 20,
            "daemonize": False,
            "database": 0,
            "acl": [],
            "verbosity": 0,
            "logfile": str(directory / "webdis.log"),
        }
        self._directory = directory
        (directory / "webdis.json").write_text(json.dumps(settings))
        self._start()
        self.operations = _operations()
        send_to_all(self.port, _save(DOCUMENT), session_numbers(sessions))

    def begin(self) -> Usage:
        """Restarts webdis.

        It still processes the requests of clients that have disconnected, and sends the responses to new connections
        with the same number.
        """
        self.programs[0].stop()
        self._start()
        return super().begin()

    def _start(self) -> None:
        webdis = start("webdis", ["webdis", self._directory / "webdis.json"], self._directory)
        self.programs = (webdis, self._redis)
        wait_until(listening(self.port), webdis)

    def document(self, client: Client, session: int) -> dict[str, object]:
        fields = json.loads(client.send(_command("HGETALL", SESSION), session))["HGETALL"]
        return {name: json.loads(value) for name, value in fields.items()}


def _command(*words: str) -> Request:
    """Returns a request with a Redis command in the path."""
    return Request("GET", "/" + "/".join(map(_quoted, words)), shortest=5)


def _save(properties: Mapping[str, object]) -> Request:
    """Returns a request that saves properties, with the command in the body."""
    pairs = [word for name, value in properties.items() for word in (name, compact(value))]
    body = "/".join(map(_quoted, ["HSET", SESSION, *pairs]))
    return Request("POST", "/", body, shortest=5, right=lambda content: b'"HSET":' in content)


def _quoted(word: str) -> str:
    return quote(word, safe="{}")


def _operations() -> dict[str, Operation]:
    one = {ONE: ONE_VALUE}
    read_all = Request(
        "GET",
        f"/HGETALL/{SESSION}",
        shortest=200,
        right=lambda body: set(json.loads(body)["HGETALL"]) == NAMES,
    )
    talk: list[Request] = []
    for turn, name in enumerate(TALK):
        talk += [_save({name: DOCUMENT[name]})]
        talk += [_command("HGETALL", SESSION)] * READS_AFTER_SAVE[turn]
    return {
        "read_all": Operation.of(read_all),
        "read_one": Operation.of(_command("HGET", SESSION, ONE)),
        "patch_1": Operation.of(_save(one), writes=one),
        "patch_10": Operation.of(_save(DOCUMENT), writes=DOCUMENT),
        "put_1": Operation.of(_save(one), writes=one),
        "new_session": Operation.of(_save(DOCUMENT), new_sessions=True),
        "conversation": Operation.of(*talk, _command("DEL", SESSION), new_sessions=True),
        "ext_incr": Operation.of(_command("HINCRBY", f"count:{SESSION}", "messages", "1")),
    }
