"""Secrets and values leave the service only in the responses that are meant for them."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any

import pytest
import requests
from sqlalchemy import make_url

from ccs_server.api.services import Services
from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store import credentials, schema
from ccs_server.store.database import Database
from ccs_server.store.signing_keys import load_signing_keys
from tests.api.test_openapi import described_by_the_application
from tests.support import databases, raw_http
from tests.support.service import Account, Server, ccs, environment, new_account, serving
from tests.support.waiting import wait_until
from tests.trust.conftest import Record
from tests.trust.operations import EITHER, KEY, NDJSON, Operation, Place, fill, operations
from tests.trust.reliability import Topic

OPERATIONS = list(operations(described_by_the_application()))


@dataclass(frozen=True)
class Stage:
    """A service that logs at debug level, its log, and the secrets that must not be in it."""

    server: Server
    log: Path
    cluster: EmbeddedPostgres
    account: Account
    secrets: dict[str, str]


@pytest.fixture(scope="module")
def stage(cluster: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    password = f"dbpw{token_hex(8)}"
    url = databases.create_database(cluster, f"secrets_{token_hex(6)}")
    schema.migrate(url)
    # The embedded PostgreSQL requires no password and accepts any.
    url = make_url(url).set(password=password).render_as_string(hide_password=False)
    database = Database(url, Settings())
    log = tmp_path_factory.mktemp("secrets") / "log"
    secret_key = b64encode(token_bytes(32)).decode()
    env = environment(
        CCS_DATABASE_URL=url,
        CCS_SECRET_KEY=secret_key,
        CCS_LOG_LEVEL="debug",
        CCS_ACCESS_LOG="on",
    )
    with (
        log.open("w") as file,
        serving(env=env, log=file) as server,
        new_account(server, database) as account,
    ):
        database.release()
        secrets = {
            "the database's password": password,
            "the secret key": secret_key,
            "the key": account.key.rpartition("_")[2],
            "the password": account.password,
            "the token's signature": account.token.rpartition(".")[2],
            "the token's claims": account.token.split(".")[1],
            "a value": f"value{token_hex(8)}",
            "a wrong key": f"wrongkey{token_hex(8)}",
            "a wrong token": f"wrongtoken{token_hex(8)}",
            "a wrong password": f"wrongpw{token_hex(8)}",
            "malformed JSON": f"malformed{token_hex(8)}",
        }
        yield Stage(server, log, cluster, account, secrets)


def _every_call(stage: Stage) -> Iterator[requests.Response]:
    """Calls every operation with right and wrong credentials, and causes all errors, with secret values."""
    account, secrets = stage.account, stage.secrets
    place = Place(account.id)
    fill(account, place)
    for operation in OPERATIONS:
        for headers, query in _credentials(stage, operation):
            yield account.call(
                operation.method,
                operation.target(place),
                headers,
                params=query,
                **_with_value(operation, place, secrets["a value"]),
            )
    yield from _errors(account, secrets)


def _credentials(stage: Stage, operation: Operation) -> list[tuple[dict[str, str], dict[str, str]]]:
    account, secrets = stage.account, stage.secrets
    if operation.credential in {KEY, EITHER}:
        return [({"maven-api-key": key}, {}) for key in (account.key, secrets["a wrong key"])]
    given: list[tuple[dict[str, str], dict[str, str]]] = []
    for token in (account.token, secrets["a wrong token"], f"{account.token}x"):
        given += [({"Authorization": f"Bearer {token}"}, {}), ({}, {"access_token": token})]
    return given


def _with_value(operation: Operation, place: Place, value: str) -> dict[str, Any]:
    body = operation.body(place)
    if isinstance(body, dict) and "payload" in body:
        body["payload"] = {place.name: value}
    elif (
        operation.example is not None
        and "properties" in operation.path
        and operation.method in {"PATCH", "PUT"}
    ):
        body = {place.name: value}
    if isinstance(body, bytes):
        return {"data": body, "headers": {"Content-Type": NDJSON}}
    return {} if operation.example is None else {"json": body}


def _errors(account: Account, secrets: dict[str, str]) -> Iterator[requests.Response]:
    json = {"Content-Type": "application/json"}
    malformed, value = secrets["malformed JSON"], secrets["a value"]
    for body in (
        f'{{"a": {malformed}', f'"{malformed}', f'{{"a": "{value}\\u0000"}}', f'{{"a": "{value}\\ud800"}}',
        f'["{value}"]', f'{{"a": "{value}' + "x" * 900_000 + '"}', f'{{"a": "{value}' + "x" * (1 << 20) + '"}',
        "[" * 200 + f'"{value}"' + "]" * 200,
    ):  # fmt: skip
        yield account.v1("PATCH", "/orders/properties", data=body.encode(), headers=json)
        yield account.v1("PUT", "/orders/properties/p", data=body.encode(), headers=json)
        yield account.v2("POST", "/context/document/create", data=body.encode(), headers=json)
    document = {"accountId": account.id, "nameSpace": "orders", "payload": {"a": value}}
    for wrong in (
        {"ttlSeconds": value},
        {"sessionId": [value]},
        {"payload": value},
        {"nameSpace": [value]},
    ):
        yield account.v2("POST", "/context/document/create", json=document | wrong)
    for path in ("/orders/session-ids?page=-1", "/orders/s/nothing/here", "/faas/properties"):
        yield account.v1("GET", path)
    yield account.v1(
        "PATCH", "/orders/properties", data=value.encode(), headers={"Content-Type": "text/plain"}
    )
    yield account.v1("TRACE", "/orders/properties")
    for password in (account.password, secrets["a wrong password"]):
        yield requests.post(
            f"{account.server_url}/v2/authenticate/login",
            auth=(account.username, password),
            timeout=10,
        )


def _may_contain_secrets(response: requests.Response) -> bool:
    """Returns whether a value or token may be in the response."""
    return response.ok and response.request.method in {"GET", "POST"}


def test_no_secret_appears_in_logs_metrics_or_errors(stage: Stage, record: Record) -> None:
    responses = list(_every_call(stage))
    assert {response.status_code for response in responses} >= {
        200,
        201,
        204,
        400,
        401,
        403,
        404,
        405,
        413,
        415,
    }
    # A request that no client library sends: it has a credential, but cannot be parsed.
    raw_http.send(
        stage.server.url, f"GET /{stage.secrets['a wrong key']} \x01 HTTP/9\r\n\r\n".encode()
    )
    # Log lines are written in batches.
    wait_until(lambda: len(stage.log.read_text().splitlines()) > len(responses))
    places = {
        "the log": stage.log.read_text(),
        "PostgreSQL's log": "".join(file.read_text() for file in _logs_of(stage.cluster)),
        "the metrics": requests.get(f"{stage.server.operations}/metrics", timeout=10).text,
        "errors": "".join(
            response.text for response in responses if not _may_contain_secrets(response)
        ),
        "headers": "".join(str(response.headers) for response in responses),
    }
    assert "ccs_request_duration_seconds" in places["the metrics"]
    found = [
        (what, where)
        for where, text in places.items()
        for what, secret in stage.secrets.items()
        if secret in text
    ]
    # This one was in a path, and paths are logged. Keys do not belong in paths.
    assert not [pair for pair in found if pair != ("a wrong key", "the log")], found
    assert "access_token" not in places["the log"]
    record(
        Topic.SECRETS,
        "No key, token, password or property value in logs (at debug level), metrics, errors or headers",
        f"{len(responses)} calls, {sum(map(len, places.values())) // 1024} KiB searched for "
        f"{len(stage.secrets)} secrets",
    )


def _logs_of(cluster: EmbeddedPostgres) -> Iterator[Path]:
    home = Path(make_url(cluster.url).query["host"].__str__()).parent
    logs = [home / "postgres.log", *(home / "postgres" / "log").glob("*")]
    assert len(logs) > 1
    yield from logs


def test_no_repr_shows_a_secret(database: Database, account: Account) -> None:
    settings = Settings(
        database_url="postgresql://u:secretpw@h/d",
        rate_limit_storage="redis://:secretpw@h",
        secret_key=(b"secretpw" * 4,),
    )
    key, user = (
        credentials.create_key(database, account.id),
        credentials.create_credential(database, account.id),
    )
    keys = load_signing_keys(database, settings.token_lifetime)
    services = replace(
        Services.of(Settings(), Database(settings.database_url or "", settings)), settings=settings
    )
    shown = repr(
        [
            settings,
            key,
            user,
            keys,
            keys.newest,
            services,
            services.database,
            services.database.engine,
            account,
        ]
    )
    for secret in ("secretpw", key.key, user.password, account.key, account.password, "PRIVATE"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [
        ("CCS_DATABASE_URL", "mysql://u:secretpw@h/d", "migrate"),
        ("CCS_RATE_LIMIT_STORAGE", "nothing://u:secretpw@h", "openapi"),
    ],
)
def test_an_invalid_setting_is_not_shown(name: str, text: str, command: str) -> None:
    settings = {"CCS_DATABASE_URL": "postgresql://localhost/none", "CCS_RATE_LIMIT": "1/second"}
    ran = ccs(command, env=environment(**settings | {name: text}))
    assert ran.returncode == 1
    assert name in ran.stderr
    assert "secretpw" not in ran.stdout + ran.stderr


ALWAYS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
API = ALWAYS | {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_response_has_security_headers(account: Account, operation: Operation) -> None:
    place = Place(account.id)
    fill(account, place)
    right = {"maven-api-key": account.key, "Authorization": f"Bearer {account.token}"}
    for headers in ({}, right):
        response = account.call(
            operation.method, operation.target(place), headers, **operation.arguments(place)
        )
        assert {name: response.headers.get(name) for name in API} == API


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/nothing"])
def test_responses_outside_the_api_have_security_headers(server: Server, path: str) -> None:
    response = requests.get(server.url + path, timeout=10)
    assert {name: response.headers.get(name) for name in API} == API


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js"])
def test_the_docs_page_allows_only_its_own_scripts(server: Server, path: str) -> None:
    response = requests.get(server.url + path, timeout=10)
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS
    policy = dict(
        part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"


PAGE = "https://agents.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization,content-type,maven-api-key",
}


def _cors(response: requests.Response) -> dict[str, str]:
    """Returns the CORS headers, by lower-case names without their common prefix."""
    begin = "access-control-"
    headers = {name.lower(): value for name, value in response.headers.items()}
    return {
        name.removeprefix(begin): value for name, value in headers.items() if name.startswith(begin)
    }


def test_other_origins_are_refused_by_default(account: Account) -> None:
    for method in ("GET", "OPTIONS"):
        headers = PREFLIGHT | {"Origin": PAGE}
        assert not _cors(account.v1(method, "/orders/properties", headers=headers))


@pytest.fixture(scope="module")
def open_server(database_url: str) -> Iterator[Server]:
    env = environment(
        CCS_DATABASE_URL=database_url, CCS_CORS_ORIGINS=f"{PAGE}, http://localhost:3000"
    )
    with serving("--workers", "1", env=env) as server:
        yield server


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000"])
def test_an_allowed_origin_may_call(open_server: Server, account: Account, origin: str) -> None:
    there = replace(account, server_url=open_server.url)
    # A browser sends a preflight request without a credential.
    preflight = requests.options(
        f"{open_server.url}/v1/account/{account.id}/orders/properties",
        headers=PREFLIGHT | {"Origin": origin},
        timeout=10,
    )
    assert preflight.status_code == 204
    assert preflight.headers["X-Request-ID"]
    allowed = _cors(preflight)
    assert allowed["allow-origin"] == origin
    assert "PATCH" in allowed["allow-methods"]
    names = {name.strip().lower() for name in allowed["allow-headers"].split(",")}
    assert {"authorization", "maven-api-key", "content-type", "x-request-id"} <= names
    assert {"if-match", "if-none-match", "ccs-ttl", "ccs-fence"} <= names
    assert {"idempotency-key", "last-event-id"} <= names
    assert "allow-credentials" not in allowed
    called = there.v1("GET", "/orders/properties", headers={"Origin": origin})
    assert called.status_code == 200
    assert _cors(called)["allow-origin"] == origin
    exposed = {name.strip().lower() for name in _cors(called)["expose-headers"].split(",")}
    assert {"x-request-id", "retry-after", "etag", "location"} <= exposed
    assert {"ratelimit", "ratelimit-policy", "idempotency-replayed"} <= exposed
    assert "Origin" in called.headers["Vary"]
    # Errors need the headers too, so that the page can read them.
    refused = requests.get(
        f"{open_server.url}/v1/account/a/b/properties", headers={"Origin": origin}, timeout=10
    )
    assert refused.status_code == 401
    assert _cors(refused)["allow-origin"] == origin


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        f"{PAGE}.evil.example",
        "http://agents.example",
        "null",
        f"{PAGE}:8443",
    ],
)
def test_other_origins_may_not_call(open_server: Server, account: Account, origin: str) -> None:
    there = replace(account, server_url=open_server.url)
    headers = PREFLIGHT | {"Origin": origin}
    for method in ("GET", "OPTIONS"):
        response = there.v1(method, "/orders/properties", headers=headers)
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Origin" in response.headers["Vary"]
