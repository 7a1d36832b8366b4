"""Arguments of the extension that cannot be meant, and responses that are not the service's."""

import math
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ccs_sdk import (
    BadAnswerError,
    ClientClosedError,
    ConfigurationError,
    ContextClient,
    InvalidArgumentError,
    SessionHandle,
)
from tests.sdk import faults
from tests.sdk.faults import Fault, FaultProxy
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")

Use = Callable[[SessionHandle], object]

A_TTL = "A ttl must be a timedelta"
NAMES = "Give property names as a list or another collection, not as str."
TRUE: Any = True


@pytest.fixture
def nowhere() -> Iterator[ContextClient]:
    """A client that could send nothing."""
    with ContextClient("http://127.0.0.1:1", "acme", api_key="key", retry=None) as client:
        yield client


def _any(value: object) -> Any:
    return value


REFUSED: list[tuple[Use, str]] = [
    (lambda call: call.set("a", 1, ttl=TRUE), A_TTL),
    (lambda call: call.set("a", 1, ttl=_any(1.5)), A_TTL),
    (lambda call: call.set("a", 1, ttl=_any(math.nan)), A_TTL),
    (lambda call: call.set("a", 1, ttl=timedelta(milliseconds=1)), A_TTL),
    (lambda call: call.set("a", 1, ttl=_any("Keep")), A_TTL),
    (lambda call: call.update({"a": 1}, ttl=_any("60")), A_TTL),
    (lambda call: call.create("a", 1, ttl=_any(60.0)), A_TTL),
    (lambda call: call.touch(ttl=_any("keep")), "Only set and update take the ttl 'keep'"),
    (lambda call: call.append("a", 1, ttl=_any("keep")), "Only set and update take the ttl"),
    (lambda call: call.set("a", math.nan, ttl=60), "NaN and Infinity are not JSON."),
    (lambda call: call.set("a", _any({1, 2}), ttl=60), "A value must be JSON; set is not."),
    (lambda call: call.set("", 1, ttl=60), "A property name must have at least one character."),
    (lambda call: call.set("a", 1, if_match=_any(b'"e"')), "if_match must be a str, not bytes."),
    (lambda call: call.set("a", 1, if_match=_any(["e"])), "if_match must be a str, not list."),
    (lambda call: call.set("a", 1, if_none_match=TRUE), "if_none_match must be a str"),
    (lambda call: call.set("a", 1, fence=_any("7")), "fence must be a whole number (int), not str."),
    (lambda call: call.set("a", 1, fence=TRUE), "fence must be a whole number (int)"),
    (lambda call: call.update(_any([1]), ttl=60), "Properties must be a mapping of names to values"),
    (lambda call: call.touch("otp"), NAMES),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda call: call.token(names=_any("otp")), NAMES),
    (lambda call: call.token(expires_in=_any(600.0)), "expires_in must be a timedelta or an int"),
    (lambda call: call.token(scope=_any(1)), "A scope must be a str, not int."),
    (lambda call: call.increment("n", _any(0.1)), "by must be an int or a Decimal"),
    (lambda call: call.increment("n", TRUE), "by must be an int or a Decimal"),
    (lambda call: call.increment("n", _any("1")), "by must be an int or a Decimal"),
    (lambda call: call.increment("n", Decimal("NaN")), "NaN and Infinity are not JSON."),
    (lambda call: call.append("log"), "Give at least one value to append."),
    (lambda call: call.append("log", 1, keep=_any("50")), "keep must be a whole number (int)"),
    (lambda call: call.append("log", 1, keep=TRUE), "keep must be a whole number (int)"),
    (lambda call: call.merge("a", None), "A patch must not be None; save null with set instead."),
    (lambda call: call.get("a", pointer=_any(0)), "A pointer must be a str, not int."),
    (lambda call: call.read(_any(7)), "A property name must be a str, not int."),
    (lambda call: call.lease(_any(1.5), owner="b"), "A lease must be a timedelta or an int"),
    (lambda call: call.lease(TRUE, owner="b"), "A lease must be a timedelta or an int"),
    (lambda call: call.lease(30, owner=_any(7)), "An owner must be a str, not int."),
    (lambda call: call.lease(30, owner="b", on_lost=_any("print")), "on_lost must be a function"),
]  # fmt: skip


@pytest.mark.parametrize(("use", "sentence"), REFUSED)
def test_an_argument_that_cannot_be_sent_as_meant_is_refused_with_a_sentence(
    use: Use, sentence: str, nowhere: ContextClient
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        use(nowhere.namespace("airline").session("conv-1"))
    assert refused.value.message.startswith(sentence)


REFUSED_OF_CLIENTS: list[tuple[Callable[[ContextClient], object], str]] = [
    (lambda client: client.batch(atomic=_any("yes")), "atomic must be a bool, not str"),
    (lambda client: client.namespace("n").find(where=_any("status")), "where must be a mapping"),
    (lambda client: client.namespace("n").find(fields=_any("status")), NAMES),
    (lambda client: client.namespace("n").find(prefix=_any(7)), "A prefix must be a str, not int."),
    (lambda client: client.namespace("n").find(limit=0), "limit must be a whole number (int), 1"),
    (lambda client: client.namespace("n").find(limit=TRUE), "limit must be a whole number"),
    (lambda client: client.namespace("n").find(page_size=_any(1.0)), "page_size must be a whole"),
    (lambda client: client.namespace("n").count(where=_any(["status"])), "where must be a mapping"),
    (lambda client: client.keys.create(scope=_any(None)), "A scope must be a str, not NoneType."),
    (
        lambda client: client.keys.create(scope="read", namespaces=_any("airline")),
        "Give namespaces as a list or another collection, not as str.",
    ),
    (
        lambda client: client.keys.create(scope="read", expires_in=_any(1.0)),
        "expires_in must be a timedelta or an int of whole seconds.",
    ),
    (lambda client: client.keys.delete(_any(7)), "A key id must be a str, not int."),
    (lambda client: client.keys.delete(""), "A key id must have at least one character"),
    (lambda client: client.keys.rotate("k", overlap=_any("1d")), "An overlap must be a timedelta"),
]


@pytest.mark.parametrize(("use", "sentence"), REFUSED_OF_CLIENTS)
def test_an_argument_of_a_client_that_cannot_be_sent_as_meant_is_refused(
    use: Callable[[ContextClient], object], sentence: str, nowhere: ContextClient
) -> None:
    with pytest.raises((InvalidArgumentError, ConfigurationError)) as refused:
        use(nowhere)
    assert refused.value.message.startswith(sentence)


MISSPELT: list[Callable[[Any], object]] = [
    lambda call: call.set("a", 1, if_matched="*"),
    lambda call: call.set("a", 1, ttl_seconds=60),
    lambda call: call.create("a", 1, if_match="*"),
    lambda call: call.append("a", 1, keep_last=5),
    lambda call: call.lease(30, owner="b", renew=False),
    lambda call: call.lease(30),
    lambda call: call.lease(30, "bot"),
    lambda call: call.token(600),
]


@pytest.mark.parametrize("use", MISSPELT)
def test_a_misspelt_or_missing_option_is_refused(
    use: Callable[[Any], object], nowhere: ContextClient
) -> None:
    with pytest.raises(TypeError):
        use(nowhere.namespace("airline").session("conv-1"))


WAYS: list[Callable[[ContextClient], object]] = [
    lambda client: client.namespace("n").read("a"),
    lambda client: client.namespace("n").set("a", 1, ttl=60),
    lambda client: client.namespace("n").update({"a": 1}, ttl=60),
    lambda client: client.namespace("n").create("a", 1),
    lambda client: client.namespace("n").modify("a", lambda value: value),
    lambda client: client.namespace("n").delete("a", if_match="*"),
    lambda client: client.namespace("n").clear(if_match="*"),
    lambda client: client.namespace("n").touch(),
    lambda client: client.namespace("n").increment("a"),
    lambda client: client.namespace("n").append("a", 1),
    lambda client: client.namespace("n").merge("a", {}),
    lambda client: client.namespace("n").get("a", pointer=""),
    lambda client: client.namespace("n").token(),
    lambda client: client.namespace("n").lease(30, owner="b").__enter__(),
    lambda client: list(client.namespace("n").find()),
    lambda client: client.namespace("n").count(),
    lambda client: client.keys.create(scope="read"),
    lambda client: client.keys.list(),
    lambda client: client.keys.delete("k"),
    lambda client: client.keys.rotate("k"),
]


def _send_batch(client: ContextClient) -> None:
    with client.batch() as batch:
        batch.session("n", "s").set("a", 1)


@pytest.mark.parametrize("way", [*WAYS, _send_batch])
def test_a_closed_client_sends_nothing(way: Callable[[ContextClient], object]) -> None:
    with ContextClient("http://127.0.0.1:1", "acme", api_key="key") as client:
        pass
    with pytest.raises(ClientClosedError):
        way(client)


@pytest.mark.parametrize(
    "portal",
    [
        faults.respond(200, b"<html>a login page</html>", Content_Type="text/html"),
        faults.respond(200, b""),
        faults.respond(200, b"{}"),
        faults.respond(200, b'{"results": []}'),
        faults.respond(200, b'{"results": [{"status": 204}]}'),
        faults.respond(412, b'{"code": 412, "message": "No.", "current": {"value": 1}}'),
    ],
)
@pytest.mark.parametrize("way", [*WAYS, _send_batch])
def test_a_response_that_breaks_the_contract_is_no_success(
    way: Callable[[ContextClient], object], portal: Fault, proxy: FaultProxy, account: Account
) -> None:
    proxy.faults.append(portal)
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, retry=None) as client,
        pytest.raises(BadAnswerError, match="check base_url"),
    ):
        way(client)


def test_a_batch_ends_with_its_block(client: ContextClient) -> None:
    with client.batch() as batch:
        call = batch.session("airline", "conv-1")
    assert repr(batch) == "<Batch of 0 operations>"  # nothing was sent
    with pytest.raises(InvalidArgumentError, match="The batch has ended; create another one"):
        call.set("a", 1)


def test_the_results_of_a_batch_are_not_known_before_its_end(nowhere: ContextClient) -> None:
    def build() -> None:
        with nowhere.batch() as batch:
            result = batch.session("airline", "conv-1").increment("a")
            assert repr(result) == "<Result: not known>"
            _ = result.value

    with pytest.raises(InvalidArgumentError, match="read its results after its `with` block"):
        build()  # and nothing is sent, because the block raised an error
