"""Every operation of version 2 against the real server, with version 1 on the same store."""

from datetime import UTC, datetime, timedelta

import pytest

from ccs_sdk import (
    AuthenticationError,
    BadRequestError,
    ContextClient,
    DocumentClient,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from tests.support.clock import Clock
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")


@pytest.mark.parametrize("session_id", [None, "conv-1"])
def test_a_document(
    client: ContextClient, documents: DocumentClient, account: Account, session_id: str | None
) -> None:
    receipt = documents.save("airline", {"intent": "rebook", "a.b": 2}, session_id=session_id)
    assert receipt.document_key == f"{account.id}:airline:{session_id or ''}"
    assert receipt.tenant_id == account.id

    document = documents.get("airline", session_id=session_id)
    assert document.payload == {"intent": "rebook", "a.b": 2}
    assert document.document_key == receipt.document_key
    assert document.document_type == "CONTEXT"
    assert document.account_id == document.tenant_id == account.id
    assert document.namespace == "airline"
    assert document.session_id == session_id

    found = documents.get_properties("airline", ["a.b", "absent"], session_id=session_id)
    assert found == {"a.b": 2}
    assert client.get_properties("airline", session_id=session_id) == document.payload

    documents.delete_properties("airline", ["a.b", "absent"], session_id=session_id)
    assert documents.get("airline", session_id=session_id).payload == {"intent": "rebook"}
    documents.delete("airline", session_id=session_id)
    documents.delete("airline", session_id=session_id)
    with pytest.raises(NotFoundError):
        documents.get("airline", session_id=session_id)


def test_a_save_renews_the_expiry_of_the_whole_document(
    documents: DocumentClient, clock: Clock
) -> None:
    documents.save("airline", {"a": 1}, ttl=timedelta(minutes=1))
    documents.save("airline", {"b": 2}, ttl=timedelta(hours=1))
    expires_at = documents.get("airline").expires_at
    assert expires_at is not None
    left = expires_at - datetime.now(UTC)
    assert abs(left - timedelta(hours=1)) < timedelta(minutes=1)
    clock.advance(seconds=120)
    assert documents.get("airline").payload == {"a": 1, "b": 2}


def test_a_document_without_a_ttl_gets_the_maximum_retention(documents: DocumentClient) -> None:
    documents.save("airline", {"a": 1})
    expires_at = documents.get("airline").expires_at
    assert expires_at is not None
    assert expires_at - datetime.now(UTC) > timedelta(days=394)


def test_properties_saved_forever_by_version_1_do_not_expire(
    client: ContextClient, documents: DocumentClient
) -> None:
    client.set_property("airline", "a", 1)
    assert documents.get("airline").expires_at is None


def test_an_empty_list_of_properties_does_not_delete_the_document(
    documents: DocumentClient,
) -> None:
    documents.save("airline", {"a": 1})
    with pytest.raises(InvalidArgumentError, match="at least one"):
        documents.delete_properties("airline", [])
    assert documents.get("airline").payload == {"a": 1}


def test_a_ttl_over_the_maximum_is_clamped(documents: DocumentClient) -> None:
    documents.save("airline", {"a": 1}, ttl=2**40)
    expires_at = documents.get("airline").expires_at
    assert expires_at is not None
    assert expires_at - datetime.now(UTC) < timedelta(days=396)


@pytest.mark.parametrize("ttl", [-1, timedelta(-1)])
def test_a_negative_ttl_is_refused(documents: DocumentClient, ttl: timedelta | int) -> None:
    with pytest.raises(BadRequestError, match="ttlSeconds"):
        documents.save("airline", {"a": 1}, ttl=ttl)


@pytest.mark.parametrize("ttl", [True, timedelta(microseconds=1)])
def test_a_ttl_that_is_not_a_whole_number_is_refused(
    documents: DocumentClient, ttl: timedelta | int
) -> None:
    with pytest.raises(InvalidArgumentError, match="A ttl must be a timedelta or an int"):
        documents.save("airline", {"a": 1}, ttl=ttl)


def test_login_checks_the_credentials(documents: DocumentClient, account: Account) -> None:
    token = documents.login()
    assert token.value.count(".") == 2
    assert token.expires_in == timedelta(days=1)
    assert token.value not in repr(token)
    with (
        DocumentClient(
            account.server_url, account.id, username=account.username, password="wrong"
        ) as other,
        pytest.raises(AuthenticationError) as refused,
    ):
        other.login()
    assert refused.value.status == 401


def test_a_token_does_not_grant_access_to_another_account(
    account: Account, other_account: Account
) -> None:
    with (
        DocumentClient(
            account.server_url,
            other_account.id,
            username=account.username,
            password=account.password,
        ) as other,
        pytest.raises(PermissionDeniedError),
    ):
        other.get("airline")


def test_the_signing_keys_are_public(account: Account) -> None:
    with DocumentClient(
        account.server_url, account.id, username="nobody", password="none"
    ) as other:
        keys = other.signing_keys()
    assert keys
    assert all("kid" in key and "d" not in key for key in keys)
