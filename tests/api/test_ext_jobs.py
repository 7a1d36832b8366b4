"""Jobs over HTTP: bodies, scopes, idempotency, lists, and an erasure and a deletion from end to end."""

from collections.abc import Iterator
from typing import Any

import pytest
from requests import Response

from ccs_server.domain.access import Access, Scope
from ccs_server.domain.cursors import new_cursor
from ccs_server.store import credentials
from ccs_server.store.credentials import KeyTerms
from ccs_server.store.database import Database
from ccs_server.store.jobs import resource
from tests.api.answers import TIMESTAMP, assert_empty, assert_error
from tests.support.jobs import held_erasure, new_erasure
from tests.support.service import Account, Server, new_account
from tests.support.waiting import wait_until

ERASE: dict[str, Any] = {"kind": "erase", "match": {"value": ["x"]}}
DELETE: dict[str, Any] = {"kind": "delete", "ns": "orders", "where": {"status": "closed"}}


@pytest.fixture
def account(server: Server, database: Database) -> Iterator[Account]:
    """An account whose key has the scope admin."""
    with new_account(server, database, "admin") as account:
        yield account


def post(account: Account, body: Any, **headers: str) -> Response:
    return account.ext("POST", "/jobs", json=body, headers=headers)


def created(account: Account, body: Any) -> dict[str, Any]:
    response = post(account, body)
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    assert response.headers["Location"] == f"/ext/v1/{account.id}/jobs/{job['id']}"
    return job


def finished(account: Account, job: dict[str, Any]) -> dict[str, Any]:
    found = job

    def has_ended() -> bool:
        nonlocal found
        found = account.ext("GET", f"/jobs/{job['id']}").json()
        return found["finishedAt"] is not None

    wait_until(has_ended)
    return found


def saved(account: Account) -> dict[str, Any]:
    """Saves three sessions, and returns what a list of them has."""
    for session, properties in {
        "s1": {"status": "closed", "tel": "+49301234567"},
        "s2": {"status": "open", "tel": {"home": ["+49301234567"]}},
        "s3": {"status": "closed"},
    }.items():
        assert account.v1("PATCH", f"/orders/{session}/properties", json=properties).ok
    return left(account)


def left(account: Account) -> dict[str, Any]:
    page = account.ext("POST", "/namespaces/orders/find", json={"fields": True}).json()
    return {each["sessionId"]: each["properties"] for each in page["sessions"]}


def test_an_erasure_from_end_to_end(account: Account) -> None:
    saved(account)
    job = created(
        account, {"kind": "erase", "match": {"value": ["+49301234567"]}, "reference": "T-1"}
    )
    assert job["state"] in {"queued", "running"}
    done = finished(account, job)
    for moment in ("createdAt", "startedAt", "finishedAt"):
        assert TIMESTAMP.fullmatch(done.pop(moment))
    assert done == {
        "id": job["id"],
        "kind": "erase",
        "state": "done",
        "reference": "T-1",
        "dryRun": False,
        "by": account.key.split("_")[1],
        "progress": {"examined": 5, "total": 5, "sessions": 0, "properties": 2, "changes": 0},
    }
    assert left(account) == {
        "s1": {"status": "closed"},
        "s2": {"status": "open"},
        "s3": {"status": "closed"},
    }


@pytest.mark.parametrize("is_dry_run", [True, False])
def test_a_deletion_from_end_to_end(account: Account, is_dry_run: bool) -> None:
    before = saved(account)
    done = finished(account, created(account, DELETE | {"dryRun": is_dry_run}))
    assert (done["state"], done["dryRun"]) == ("done", is_dry_run)
    assert done["progress"] == {
        "examined": 3, "total": 3, "sessions": 2, "properties": 3, "changes": 0,
    }  # fmt: skip
    assert left(account).keys() == (before.keys() if is_dry_run else {"s2"})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "other"}, "kind"),
        ({"kind": "erase"}, "match"),
        (ERASE | {"match": {}}, "match"),
        (ERASE | {"match": {"value": []}}, "match.value"),
        (ERASE | {"match": {"value": [""]}}, "match.value"),
        (ERASE | {"match": {"name": ["a"] * 11}}, "match.name"),
        (ERASE | {"match": {"sessionId": ["a" * 1001]}}, "match.sessionId"),
        (ERASE | {"match": {"value": [1]}}, "match"),
        (ERASE | {"match": {"other": ["a"]}}, "match"),
        (ERASE | {"ns": []}, "ns"),
        (ERASE | {"ns": ["a b"]}, "ns"),
        (ERASE | {"scope": "namespace"}, "scope"),
        (ERASE | {"contains": 1}, "contains"),
        (ERASE | {"reference": "x" * 257}, "reference"),
        (ERASE | {"reference": "\n"}, "reference"),
        (ERASE | {"other": 1}, "body"),
        ({"kind": "delete", "ns": "orders"}, "where"),
        ({"kind": "delete", "where": {"a": 1}}, "ns"),
        (DELETE | {"sessionPrefix": "a/b"}, "sessionPrefix"),
        (DELETE | {"where": {"a": {"$like": 1}}}, "where.a.$like"),
        (DELETE | {"match": {}}, "body"),
    ],
)
def test_a_bad_body_is_refused_and_no_job_is_made(
    account: Account, body: dict[str, Any], field: str
) -> None:
    assert_error(post(account, body), 400, field=field)
    assert account.ext("GET", "/jobs").json() == {"jobs": []}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/jobs"), ("GET", "/jobs"), ("GET", "/jobs/a"), ("DELETE", "/jobs/a")],
)
def test_jobs_need_the_scope_admin(
    account: Account, database: Database, method: str, path: str
) -> None:
    body = ERASE if method == "POST" else None
    for scope in (Scope.READ, Scope.WRITE):
        terms = KeyTerms(Access(scope))
        key = credentials.create_key(database, account.id, terms=terms).key
        assert_error(account.ext(method, path, json=body, headers={"maven-api-key": key}), 403)
    assert account.ext("GET", "/jobs").json() == {"jobs": []}


def test_a_job_that_is_not_there(
    account: Account, other_account: Account, database: Database
) -> None:
    others = new_erasure(database, other_account.id, values=["x"])
    for id_ in ("none", others.id):
        assert_error(account.ext("GET", f"/jobs/{id_}"), 404)
        assert_error(account.ext("DELETE", f"/jobs/{id_}"), 404)
    assert_error(account.ext("GET", "/jobs?limit=1"), 400, field="limit")
    assert_error(account.ext("GET", "/jobs/none?a=1"), 400, field="a")


def test_a_job_is_canceled_once(account: Account, database: Database) -> None:
    job = held_erasure(database, account.id, values=["x"])
    assert_empty(account.ext("DELETE", f"/jobs/{job.id}"))
    found = account.ext("GET", f"/jobs/{job.id}").json()
    assert (found["state"], found["startedAt"]) == ("canceled", None)
    assert TIMESTAMP.fullmatch(found["finishedAt"])
    assert_error(account.ext("DELETE", f"/jobs/{job.id}"), 409)


def test_jobs_are_listed_in_pages(account: Account, database: Database) -> None:
    ids = [new_erasure(database, account.id, values=["x"]).id for _ in range(resource.PAGE)]
    # An account may have no more that have not ended.
    finished(account, {"id": ids[0]})
    newest = created(account, ERASE)["id"]
    page = account.ext("GET", "/jobs").json()
    assert [job["id"] for job in page["jobs"]] == [newest, *ids[:0:-1]]
    last = account.ext("GET", "/jobs", params={"after": page["next"]}).json()
    assert [job["id"] for job in last["jobs"]] == [ids[0]]
    assert "next" not in last
    for cursor in (
        "x",
        new_cursor(("find", account.id), "x"),
        new_cursor(("jobs", account.id), "x"),
    ):
        assert_error(account.ext("GET", "/jobs", params={"after": cursor}), 400, field="after")


def test_a_repeated_request_makes_one_job(account: Account) -> None:
    first = post(account, ERASE, **{"Idempotency-Key": "k"})
    again = post(account, ERASE, **{"Idempotency-Key": "k"})
    assert again.status_code == first.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert_error(post(account, DELETE, **{"Idempotency-Key": "k"}), 422)
    assert len(account.ext("GET", "/jobs").json()["jobs"]) == 1


def test_a_job_says_nothing_of_what_it_looks_for(account: Account, database: Database) -> None:
    job = new_erasure(database, account.id, values=["+49301234567"])
    for path in ("/jobs", f"/jobs/{job.id}"):
        assert "49301234567" not in account.ext("GET", path).text


def test_what_a_response_tells_of_is_stored_with_it_and_found(account: Account) -> None:
    saved(account)
    headers = {"Idempotency-Key": "k"}
    reads = [{"op": "get", "session": "s1"}, {"op": "incr", "session": "s9", "name": "n"}]
    first = account.ops(*reads, headers=headers)
    assert "+49301234567" in first.text
    finished(account, created(account, ERASE | {"match": {"sessionId": ["s1"]}}))
    again = account.ops(*reads, headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == {"results": [{"status": 200}, {"status": 200}]}
