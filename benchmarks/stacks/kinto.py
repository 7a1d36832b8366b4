"""Kinto, the nearest peer: JSON documents over HTTP, in Python, on PostgreSQL.

Each session is a separate collection, with its properties in one record. Kinto gives each write a timestamp that is
unique in its collection, and refuses one of two concurrent writers of a collection (409, "please retry"). The HTTP
server is the fastest of those tried: granian and uwsgi, each with 1 to 4 threads or processes per core.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.extension import BATCH
from benchmarks.load import Client, Operation, Request
from benchmarks.load.requests import ETAG, SESSION, basic
from benchmarks.operations import DOCUMENT, NAMES, ONE, ONE_VALUE, PAGE, compact
from benchmarks.processes import free_port, listening, start, wait_until
from benchmarks.stacks.base import HttpStack, MissingError, send_to_all, session_numbers
from benchmarks.stacks.floor import ROOT, THREADS, WORKERS

LOCK = ROOT / "requirements" / "bench-kinto.txt"
_CONFLICT = 409
_MODIFIED = 412
_HEADERS = {"Authorization": basic("bench", "secret")}
_BUCKET = "/v1/buckets/bench"
_COLLECTION = f"{_BUCKET}/collections/{SESSION}"
_RECORD = f"{_COLLECTION}/records/document"
_SETTINGS = """
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.postgresql
kinto.storage_url = {url}
kinto.permission_backend = kinto.core.permission.postgresql
kinto.permission_url = {url}
kinto.cache_backend = kinto.core.cache.memory
kinto.userid_hmac_secret = benchmark
multiauth.policies = basicauth
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = CRITICAL
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(levelname)s %(message)s
"""
_APPLICATION = """
from pathlib import Path
from pyramid.paster import get_app, setup_logging
settings = str(Path(__file__).with_name("kinto.ini"))
setup_logging(settings)
application = get_app(settings)
"""


class Kinto(HttpStack):
    """Kinto on the same PostgreSQL server, with a separate database."""

    name = "kinto"

    def __init__(self, sessions: int, directory: Path, database_url: str) -> None:
        super().__init__(sessions)
        programs = _installed()
        self.title = f"Kinto {_version(programs)} on PostgreSQL, granian"
        (directory / "kinto.ini").write_text(_SETTINGS.replace("{url}", database_url))
        (directory / "kinto_wsgi.py").write_text(_APPLICATION)
        subprocess.run(
            [programs / "kinto", "migrate", "--ini", directory / "kinto.ini"],
            check=True,
            capture_output=True,
        )
        self.port = free_port()
        command = [
            str(programs / "granian"), "--interface", "wsgi", "--no-ws", "--workers", str(WORKERS),
            "--blocking-threads", str(THREADS), "--port", str(self.port), "--log-level", "warning",
            "kinto_wsgi:application",
        ]  # fmt: skip
        program = start(self.name, command, directory, {"PYTHONPATH": str(directory)})
        self.programs = (program,)
        wait_until(listening(self.port), program)
        self.operations = _operations()
        self._fill(sessions)

    def document(self, client: Client, session: int) -> dict[str, object]:
        record = json.loads(client.send(_get(_RECORD), session))["data"]
        one = json.loads(client.send(_get(f"{_COLLECTION}/records/{ONE}"), session))["data"]
        # The property is stored twice: in the document and as a separate record.
        newest = max(record, one, key=lambda found: found["last_modified"])
        return {**record, ONE: newest.get("value", record[ONE])}

    def _fill(self, sessions: int) -> None:
        client = Client(self.port)
        client.send(Request("PUT", _BUCKET, status=201, headers=_HEADERS))
        client.close()
        one = compact({"data": {"value": ONE_VALUE}})
        for path, body in (
            (_COLLECTION, None),
            (_RECORD, compact({"data": DOCUMENT})),
            (f"{_COLLECTION}/records/{ONE}", one),
        ):
            request = Request("PUT", path, body, 201, _HEADERS)
            send_to_all(self.port, request, session_numbers(sessions), clients=1)


def _get(path: str, shortest: int = 100) -> Request:
    return Request("GET", path, headers=_HEADERS, shortest=shortest)


def _operations() -> dict[str, Operation]:
    def patch(properties: Mapping[str, object]) -> Request:
        return Request("PATCH", _RECORD, compact({"data": properties}), 200, _HEADERS)

    read_all = Request(
        "GET",
        _RECORD,
        headers=_HEADERS,
        shortest=200,
        right=lambda body: set(json.loads(body)["data"]) > NAMES,
    )
    one = f"{_COLLECTION}/records/{ONE}"
    body = {"data": {"value": ONE_VALUE}}
    put = Request("PUT", one, compact(body), 200, _HEADERS)
    # All of one session, which costs Kinto less than as many sessions.
    saves = [
        {"path": f"{_COLLECTION}/records/part-{number}", "body": body} for number in range(BATCH)
    ]
    batch = Request(
        "POST",
        "/v1/batch",
        compact({"defaults": {"method": "PUT"}, "requests": saves}),
        headers=_HEADERS,
        shortest=BATCH * 100,
        right=lambda body: all(
            each["status"] in {200, 201} for each in json.loads(body)["responses"]
        ),
    )
    return {
        "read_all": Operation.of(read_all),
        "read_one": Operation.of(_get(one)),
        "patch_1": Operation.of(
            patch({ONE: ONE_VALUE}), writes={ONE: ONE_VALUE}, conflict=_CONFLICT
        ),
        "patch_10": Operation.of(patch(DOCUMENT), writes=DOCUMENT, conflict=_CONFLICT),
        "put_1": Operation.of(put, writes={ONE: ONE_VALUE}, conflict=_CONFLICT),
        "list_sessions": Operation.of(
            _get(f"{_BUCKET}/collections?_limit={PAGE}&_fields=id", 1000)
        ),
        "ext_set_10": Operation.of(batch, conflict=_CONFLICT),
        "ext_cas": Operation.of(
            _get(one), replace(put, headers={**_HEADERS, "If-Match": ETAG}), conflict=_MODIFIED
        ),
    }


def _installed() -> Path:
    """Returns the programs of an environment installed from the lock, once."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    environment = ROOT / "build" / f"bench-kinto-{digest}"
    programs = environment / "bin"
    if not (environment / "complete").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
            subprocess.run(
                [programs / "pip", "install", "--quiet", "--require-hashes", "-r", LOCK],
                check=True,
                capture_output=True,
            )
        except subprocess.CalledProcessError as error:
            raise MissingError(f"pip cannot install {LOCK.relative_to(ROOT)} ({error})") from error
        (environment / "complete").touch()
    return programs


def _version(programs: Path) -> str:
    code = "from importlib.metadata import version; print(version('kinto'))"
    completed = subprocess.run(
        [programs / "python", "-c", code], capture_output=True, text=True, check=True
    )
    return completed.stdout.strip()
