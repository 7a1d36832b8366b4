"""The OpenAPI document, and tests with schemathesis that the server conforms to it."""

import json
import re
from base64 import b64encode
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, TypeAlias

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CheckFunction
from schemathesis.config import GenerationConfig, SchemathesisConfig
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import allow_header_conformance, ignored_auth

from ccs_server.app import create_app
from ccs_server.domain.credentials import key_id_of
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.api.answers import assert_error
from tests.support.service import Account, Server, new_account

Case: TypeAlias = schemathesis.Case[Any]

EXAMPLES = 8
"""Random cases of an operation, beside those of every boundary; tests/trust/test_guard_fuzz.py sends hundreds."""

METHODS = {"get", "post", "put", "patch", "delete"}
V1 = "/v1/account/{accountId}"
V2 = "/v2/context/document"
EXT = "/ext/v1/"
ROWS = {
    f"{V1}": {"post", "get"},
    f"{V1}/{{namespace}}": {"delete"},
    f"{V1}/{{namespace}}/properties": {"patch", "get", "delete"},
    f"{V1}/{{namespace}}/properties/{{name}}": {"put", "get", "delete"},
    f"{V1}/{{namespace}}/{{sessionId}}/properties": {"patch", "get", "delete"},
    f"{V1}/{{namespace}}/{{sessionId}}/properties/{{name}}": {"put", "get", "delete"},
    f"{V1}/{{namespace}}/session-ids": {"get"},
    f"{V1}/{{namespace}}/session-properties": {"get"},
    f"{V1}/namespace/{{namespace}}/session": {"post", "get"},
    f"{V1}/namespace/{{namespace}}/session/{{sessionId}}": {"delete"},
    "/v2/authenticate/login": {"get", "post"},
    f"{V2}/create": {"post", "patch"},
    f"{V2}/{{accountId}}/{{nameSpace}}": {"get"},
    f"{V2}/{{accountId}}/{{nameSpace}}/{{sessionId}}": {"get"},
    f"{V2}/properties": {"post"},
    f"{V2}/property/delete": {"delete"},
    f"{V2}/delete": {"delete"},
}

NDJSON = "application/x-ndjson"


@cache
def described_by_the_application() -> dict[str, Any]:
    """Returns the document without a server, since pytest collects the operations before it starts one."""
    app = create_app(Settings(database_url="postgresql://none"))
    found: dict[str, Any] = app.extensions["openapi"]
    return found


DESCRIBED = described_by_the_application()
LINES = DESCRIBED["paths"]["/ext/v1/{account}/import"]["post"]["requestBody"]["content"][NDJSON][
    "example"
]


@pytest.fixture
def account(server: Server, database: Database) -> Iterator[Account]:
    """A new account whose key may do everything."""
    with new_account(server, database, scope="admin") as account:
        yield account


@pytest.fixture(scope="module")
def document(server: Server) -> dict[str, Any]:
    response = requests.get(f"{server.url}/openapi.json", timeout=10)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    found: dict[str, Any] = response.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def test_it_is_served_as_the_application_describes_itself(document: dict[str, Any]) -> None:
    assert document == json.loads(json.dumps(DESCRIBED))


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"]
    assert document["info"]["version"]


def test_it_describes_every_row_of_the_contract(document: dict[str, Any]) -> None:
    """Paths are compared without the names of their parameters, which the contract does not fix."""

    def shape(path: str) -> str:
        return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))

    described: dict[str, set[str]] = {}
    for path, method, _ in operations(document):
        described.setdefault(shape(path), set()).add(method)
    for path, methods in ROWS.items():
        assert methods <= described.get(shape(path), set()), path


def test_every_operation_has_a_summary(document: dict[str, Any]) -> None:
    summaries = [operation["summary"] for _, _, operation in operations(document)]
    identities = [operation["operationId"] for _, _, operation in operations(document)]
    assert all(summary.strip() for summary in summaries)
    assert len(set(identities)) == len(identities)


def test_every_parameter_and_body_has_an_example(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        shared = document["paths"][path].get("parameters", [])
        for given in [*shared, *operation.get("parameters", [])]:
            parameter = resolve(document, given)
            assert parameter["description"], (path, method, parameter["name"])
            assert has_example(document, parameter), (path, method, parameter["name"])
        if "requestBody" in operation:
            body = resolve(document, operation["requestBody"])
            (content,) = body["content"].values()
            assert has_example(document, content), (path, method)


def test_every_operation_lists_its_statuses(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        statuses = set(operation["responses"])
        if not path.startswith(("/v1/account", V2, EXT)):
            continue
        assert {"400", "401", "403", "503"} <= statuses, (path, method)
        if "requestBody" in operation:
            assert {"413", "415"} <= statuses, (path, method)
        assert statuses & {"200", "201", "202", "204"}, (path, method)


def test_every_operation_names_its_security_scheme(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    keys = {name for name, scheme in schemes.items() if scheme.get("name") == "maven-api-key"}
    bearers = {name for name, scheme in schemes.items() if scheme.get("scheme") == "bearer"}
    basics = {name for name, scheme in schemes.items() if scheme.get("scheme") == "basic"}
    assert keys
    assert bearers
    assert basics
    for path, method, operation in operations(document):
        required = operation.get("security", document.get("security", []))
        names = {name for requirement in required for name in requirement}
        if path.startswith("/v1/"):
            assert names & keys, (path, method)
        elif path.startswith(V2):
            assert names & bearers, (path, method)
        elif path.startswith(EXT):
            assert names >= {*keys, *bearers}, (path, method)
        elif path == "/v2/authenticate/login":
            assert names & basics, (path, method)


def resolve(document: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in given:
        found = document
        for part in given["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        given = found
    return given


def has_example(document: dict[str, Any], described: dict[str, Any]) -> bool:
    schema = resolve(document, described.get("schema", {}))
    names = {"example", "examples", "default"}
    if names & described.keys() or names & schema.keys():
        return True
    properties = schema.get("properties", {})
    return bool(properties) and all(
        names & resolve(document, one).keys() for one in properties.values()
    )


OPERATIONS_WITH_BODY = sorted(
    (path, method)
    for path, method, operation in operations(DESCRIBED)
    if "application/json" in operation.get("requestBody", {}).get("content", ())
)


@pytest.mark.parametrize(("path", "method"), OPERATIONS_WITH_BODY)
def test_a_body_without_a_required_member_is_refused_by_name(
    account: Account, path: str, method: str
) -> None:
    schema, body = body_of(path, method, account)
    assert send(account, path, method, body).ok
    for name in schema.get("required", []):
        rest = {member: value for member, value in body.items() if member != name}
        assert_error(send(account, path, method, rest), 400, field=name)


@pytest.mark.parametrize(("path", "method"), OPERATIONS_WITH_BODY)
def test_a_body_may_leave_out_all_that_is_not_required(
    account: Account, path: str, method: str
) -> None:
    schema, body = body_of(path, method, account)
    if "properties" in schema:
        body = {name: body[name] for name in schema["required"]}
    assert send(account, path, method, body).ok


@pytest.mark.parametrize(("path", "method"), OPERATIONS_WITH_BODY)
def test_a_member_of_another_type_is_refused_by_name(
    account: Account, path: str, method: str
) -> None:
    schema, body = body_of(path, method, account)
    if "type" in schema:
        assert_error(send(account, path, method, of_another_type(schema)), 400)
    for name, member in schema.get("properties", {}).items():
        changed = body | {name: of_another_type(member)}
        assert_error(send(account, path, method, changed), 400, field=name)


def body_of(path: str, method: str, account: Account) -> tuple[dict[str, Any], Any]:
    """The schema of an operation's body, and the example of one, of this account."""
    content = DESCRIBED["paths"][path][method]["requestBody"]["content"]["application/json"]
    schema = resolve(DESCRIBED, content["schema"])
    if "examples" in content:
        body = next(iter(content["examples"].values()))["value"]
    else:
        body = {name: member["example"] for name, member in schema["properties"].items()}
    if "accountId" in schema.get("properties", {}):
        body = body | {"accountId": account.id}
    return schema, body


def send(account: Account, path: str, method: str, body: object) -> requests.Response:
    item = DESCRIBED["paths"][path]
    names = {one["name"]: one["example"] for one in item.get("parameters", [])}
    names |= {"account": account.id, "key_id": key_id_of(account.key)}
    if "webhook_id" in names:
        names["webhook_id"] = new_webhook(account)
    target = path.format_map(names)
    takes_key = path.startswith(("/v1/", "/ext/"))
    credential = {"maven-api-key": account.key} if takes_key else bearer(account)
    return account.call(method.upper(), target, credential, json=body)


def new_webhook(account: Account) -> str:
    made = account.ext("POST", "/webhooks", json={"url": "https://bot.example/"})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def of_another_type(schema: dict[str, Any]) -> object:
    return "text" if schema["type"] != "string" else 1


def bearer(account: Account) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.token}"}


config = SchemathesisConfig()
config.projects.default.generation = GenerationConfig(
    max_examples=EXAMPLES,
    deterministic=True,
    allow_x00=False,  # a schema cannot say that a value contains no U+0000 at any depth
)
# A condition that does not hold, a value of another type, a lease that is held: the schema cannot tell.
config.projects.default.checks.positive_data_acceptance.expected_statuses.extend(
    ["409", "412", "422", "423"]
)
api = schemathesis.openapi.from_dict(DESCRIBED, config=config)


@pytest.fixture
def described_api(request: pytest.FixtureRequest) -> BaseSchema:
    """The described API, for tests that generate their cases when they run, not when each worker collects them."""
    # Schemathesis reads what pytest 9.2 has under its public name only.
    request.node._nodeid = request.node.nodeid
    return api


lazy = schemathesis.pytest.from_fixture("described_api")


@schemathesis.serializer(NDJSON)
def as_it_is(_: schemathesis.SerializationContext, value: object) -> bytes:
    """Sends a text; what is to be refused may be of any type."""
    return value.encode(errors="replace") if isinstance(value, str) else json.dumps(value).encode()


bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@lazy.include(path_regex="^/v1/").parametrize()
@bounded
def test_v1_conforms_to_the_document(case: Case, server: Server, account: Account) -> None:
    if follows_the_document(case):
        agree_with_itself(case, account)
    validate(case, server, account, {"maven-api-key": account.key})


@lazy.include(path_regex="^/v2/context/").parametrize()
@bounded
def test_v2_conforms_to_the_document(case: Case, server: Server, account: Account) -> None:
    if follows_the_document(case):
        agree_with_itself(case, account)
    # GET of this path is row 22 of an account called `property`.
    excluded = [allow_header_conformance] if case.path.endswith("/property/delete") else []
    validate(case, server, account, bearer(account), excluded)


@lazy.include(path_regex="^/ext/").parametrize()
@bounded
def test_the_extension_conforms_to_the_document(
    case: Case, server: Server, account: Account
) -> None:
    if follows_the_document(case):
        agree_with_itself(case, account)
    validate(case, server, account, {"maven-api-key": account.key})


@lazy.exclude(path_regex="^/(v1|v2/context|ext)/").parametrize()
@bounded
def test_all_other_paths_conform_to_the_document(
    case: Case, server: Server, account: Account
) -> None:
    credentials = b64encode(f"{account.username}:{account.password}".encode()).decode()
    validate(case, server, account, {"Authorization": f"Basic {credentials}"})


_need_their_credential: set[str] = set()


def validate(
    case: Case,
    server: Server,
    account: Account,
    headers: dict[str, str],
    excluded: Collection[CheckFunction] = (),
) -> None:
    """Sends the case and runs schemathesis's checks, that of the credential until an operation has passed it once.

    That check repeats each accepted request without and with a wrong credential.
    """
    label = case.operation.label
    if label in _need_their_credential:
        excluded = [*excluded, ignored_auth]
    response = case.call_and_validate(
        server.url, session=account.session, headers=headers, excluded_checks=[*excluded]
    )
    if response.status_code < 300:
        _need_their_credential.add(label)


PROPERTY = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,256}").fullmatch


def follows_the_document(case: Case) -> bool:
    """Whether the case is meant to be accepted; a case that is meant to be refused is sent unchanged."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def agree_with_itself(case: Case, account: Account) -> None:
    """Changes a case that follows the document by the rules that a schema cannot express."""
    if case.path_parameters:
        case.path_parameters["account"] = account.id
    omit_headers_against_their_pattern(case)
    if case.path.endswith(("/activity", "/export", "/changes", "/jobs")) and case.query:
        make_query_unambiguous(case.query)
    if case.path.endswith("/import"):
        # A schema cannot describe lines.
        case.body = LINES
    if not isinstance(case.body, dict):
        return
    if case.path.endswith(("/find", "/jobs")):
        case.body = continuing_nothing(of_a_job(case.body))
    if case.path.endswith("/ops"):
        make_unambiguous(case)
    if "/webhooks" in case.path:
        case.body = of_a_webhook(case.body)
    if case.body.get("scope") == "admin":
        # A schema does not say that this one takes no namespaces.
        case.body.pop("ns", None)
    if "accountId" in case.body:
        case.body |= agreeing_with_itself(case.body, account)


def make_query_unambiguous(query: dict[str, Any]) -> None:
    """Applies rules that a schema cannot express: only a response has cursors, and a session needs one namespace."""
    for name in {"session", "name", "after"} & query.keys():
        del query[name]


def omit_headers_against_their_pattern(case: Case) -> None:
    """Schemathesis takes a pattern for a hint where a parameter is a header."""
    for parameter in case.operation.headers:
        described = parameter.definition
        pattern = described["schema"].get("pattern")
        value = (case.headers or {}).get(described["name"])
        if pattern and value is not None and not re.search(pattern, value):
            del case.headers[described["name"]]


def agreeing_with_itself(body: dict[str, Any], account: Account) -> dict[str, Any]:
    """Applies rules that a schema cannot express: the account is that of the token, and filters name the namespace."""
    agreeing: dict[str, Any] = {"accountId": account.id}
    if "filter" in body:
        names = (entry.partition(".")[2] for entry in body["filter"])
        agreeing["filter"] = [f"{body['nameSpace']}.{name}" for name in names]
    return agreeing


def make_unambiguous(case: Case) -> None:
    """Applies rules that a schema cannot express: operations that are not atomic take no key, and others of `ops`."""
    body: Any = case.body
    body["ops"] = [unambiguous(operation) for operation in body["ops"]]
    if not body.get("atomic", True):
        case.headers.pop("Idempotency-Key", None)


def unambiguous(operation: dict[str, Any]) -> dict[str, Any]:
    """Applies rules that a schema cannot express: which members of an operation exclude each other, or need others."""
    given = dict(operation)
    if given["op"] == "set":
        if {"name", "value"} <= given.keys():
            given.pop("values", None)
        else:
            given = {**given, "values": given.get("values", {})}
            given.pop("name", None)
            given.pop("value", None)
    if "name" in given:
        given.pop("names", None)
    else:
        given.pop("pointer", None)
    if "by" in given:
        # The limits are of its digits and its exponent.
        given["by"] = 1.5
    for condition in ("ifMatch", "ifNoneMatch"):
        if condition in given:
            given[condition] = "*"
    if "values" in given and given["op"] == "set":
        given["values"] = {name: value for name, value in given["values"].items() if PROPERTY(name)}
    return given


def of_a_webhook(body: dict[str, Any]) -> dict[str, Any]:
    """Applies rules that a schema cannot express.

    Only a response has cursors, an overlap needs a rotation, and not every text is a URL of the Internet.
    """
    given = {name: value for name, value in body.items() if name != "after"}
    if "overlap" in given:
        given["rotateSecret"] = True
    return given | {"url": "https://bot.example/"} if "url" in given else given


def of_a_job(body: dict[str, Any]) -> dict[str, Any]:
    """Applies rules that a schema cannot express: a deletion needs a filter, and its operators must be possible."""
    if body.get("kind") != "delete":
        return body
    given = {name: value for name, value in body.items() if name != "where"}
    return given | {"sessionPrefix": body.get("sessionPrefix") or "s"}


def continuing_nothing(body: dict[str, Any]) -> dict[str, Any]:
    """Applies rules that a schema cannot express: only a response has cursors, a count needs a limit of 0.

    The namespace does not sort by update.
    """
    first = {name: value for name, value in body.items() if name not in {"after", "sort"}}
    return first | {"limit": 0} if body.get("count") else first
