"""The OpenAPI document, and schemathesis over it: the server keeps what the document promises."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import GenerationConfig, SchemathesisConfig

from tests.support.service import Account, Server

Case: TypeAlias = schemathesis.Case[Any]

EXAMPLES = 12
METHODS = {"get", "post", "put", "patch", "delete"}
V1 = "/v1/account/{accountId}"
V2 = "/v2/context/document"
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


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"]
    assert document["info"]["version"]


def test_it_describes_every_row_of_the_contract(document: dict[str, Any]) -> None:
    """By path with the names of its parameters left out: those are for the document to choose."""

    def shape(path: str) -> str:
        return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))

    described: dict[str, set[str]] = {}
    for path, method, _ in operations(document):
        described.setdefault(shape(path), set()).add(method)
    for path, methods in ROWS.items():
        assert methods <= described.get(shape(path), set()), path


def test_every_operation_says_what_it_does(document: dict[str, Any]) -> None:
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
            assert has_example(document, body["content"]["application/json"]), (path, method)


def test_every_operation_lists_the_statuses_it_can_answer(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        statuses = set(operation["responses"])
        if not path.startswith(("/v1/account", V2)):
            continue
        assert {"400", "401", "403", "503"} <= statuses, (path, method)
        if "requestBody" in operation:
            assert {"413", "415"} <= statuses, (path, method)
        assert statuses & {"200", "201", "204"}, (path, method)


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


@pytest.fixture
def api_schema(server: Server) -> schemathesis.BaseSchema:
    """The document as the server hands it out, every check on, few and always the same examples."""
    config = SchemathesisConfig()
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json", config=config)
    schema.config.generation = GenerationConfig(max_examples=EXAMPLES, deterministic=True)
    return schema


api = schemathesis.pytest.from_fixture("api_schema")
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@api.include(path_regex="^/v1/.*/properties").parametrize()
@bounded
def test_properties_of_v1_keep_the_document(case: Case, account: Account) -> None:
    check_v1(case, account)


@api.include(path_regex="^/v1/").exclude(path_regex="/properties").parametrize()
@bounded
def test_namespaces_and_sessions_of_v1_keep_the_document(
    case: Case, account: Account
) -> None:
    check_v1(case, account)


@api.include(path_regex="^/v2/context/").parametrize()
@bounded
def test_v2_keeps_the_document(case: Case, account: Account) -> None:
    """With the account of the token, most of the time: another is 403 for good reason."""
    check_v2(case, account)


@api.exclude(path_regex="^/(v1|v2/context)/").parametrize()
@bounded
def test_all_the_rest_keeps_the_document(case: Case, account: Account) -> None:
    case.call_and_validate(auth=(account.username, account.password))


def check_v1(case: Case, account: Account) -> None:
    if "accountId" in case.path_parameters and valid(case):
        case.path_parameters["accountId"] = account.id
    case.call_and_validate(headers={"maven-api-key": account.key})


def check_v2(case: Case, account: Account) -> None:
    if valid(case):
        if "accountId" in case.path_parameters:
            case.path_parameters["accountId"] = account.id
        if isinstance(case.body, dict) and "accountId" in case.body:
            case.body["accountId"] = account.id
    case.call_and_validate(headers={"Authorization": f"Bearer {account.token}"})


def valid(case: Case) -> bool:
    """Whether the case was meant to be taken; one meant to be refused is left as it is."""
    return case.meta is not None and case.meta.generation.mode.is_positive
