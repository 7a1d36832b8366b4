"""Requests that are recorded in the audit log: the first use of a credential, and the deletion of a namespace."""

import requests

from ccs_server.store.audit import AuditLine, read_audit
from ccs_server.store.database import Database
from tests.support.service import Account


def lines(database: Database, account: Account, action: str) -> list[AuditLine]:
    return [line for line in read_audit(database, account.id) if line.action == action]


def test_the_first_use_of_a_key_is_recorded_once(account: Account, database: Database) -> None:
    assert (
        account.v1("GET", "", headers={"maven-api-key": account.key[:-1] + "!"}).status_code == 403
    )
    assert not lines(database, account, "key.first_used")
    assert {account.v1("GET", "").status_code for _ in range(10)} == {200}
    (line,) = lines(database, account, "key.first_used")
    assert line.subject == account.key.split("_")[1]
    assert line.actor == f"key:{line.subject}"


def test_the_first_login_of_a_user_is_recorded_once(account: Account, database: Database) -> None:
    url = f"{account.server_url}/v2/authenticate/login"
    for password, status in [("wrong", 401), (account.password, 200), (account.password, 200)]:
        auth = (account.username, password)
        assert requests.post(url, auth=auth, timeout=10).status_code == status
    (line,) = lines(database, account, "credential.first_used")
    assert (line.subject, line.actor) == (account.username, f"user:{account.username}")


def test_the_deletion_of_a_namespace_is_recorded_with_the_key(
    account: Account, other_account: Account, database: Database
) -> None:
    account.v1("PATCH", "/orders/properties", json={"size": 1})
    stranger = {"maven-api-key": other_account.key}
    assert account.v1("DELETE", "/orders", headers=stranger).status_code == 403
    assert not lines(database, account, "namespace.deleted")
    for _ in range(2):
        assert account.v1("DELETE", "/orders").status_code == 204
    (line,) = lines(database, account, "namespace.deleted")
    assert (line.subject, line.actor) == ("orders", f"key:{account.key.split('_')[1]}")
    assert not lines(database, other_account, "namespace.deleted")
