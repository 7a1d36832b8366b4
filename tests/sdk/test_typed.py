"""Values as the types that the caller asks for, and values that JSON does not know."""

import subprocess
import sys
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypedDict
from uuid import UUID

import msgspec
import pytest

from ccs_sdk import (
    ConfigurationError,
    ContextClient,
    InvalidArgumentError,
    PropertyNotFoundError,
    SessionHandle,
    UnexpectedValueError,
)
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")


@dataclass
class Item:
    name: str
    price: Decimal


@dataclass
class Cart:
    items: list[Item]
    since: datetime


class Seat(TypedDict):
    row: int
    letter: str


class State(Enum):
    OPEN = "open"


class Model:
    """It has the method of pydantic's models by which they are told."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def model_validate(cls, value: Any) -> "Model":
        if not isinstance(value, dict):
            raise ValueError("a dict expected")  # noqa: TRY004 - as pydantic does
        return cls(str(value["name"]))  # pyright: ignore[reportUnknownArgumentType]


@pytest.fixture
def call(account: Account) -> Any:
    with ContextClient(
        account.server_url, account.id, api_key=account.key, default=msgspec.to_builtins
    ) as client:
        yield client.namespace("airline").session("conv-1")


CART = Cart([Item("shoes", Decimal("12.10"))], datetime(2026, 11, 21, 12, tzinfo=UTC))


def test_what_the_validator_writes_is_read_back_as_the_same_type(call: SessionHandle) -> None:
    stored: Any = {
        "cart": CART,
        "state": State.OPEN,
        "day": date(2026, 11, 21),
        "id": UUID(int=7),
        "deep": {"list": [CART]},
    }
    call.update(stored)
    assert call.get("cart", type=Cart) == CART
    assert call.get("state", type=State) is State.OPEN
    assert call.get("day", type=date) == date(2026, 11, 21)
    assert call.get("id", type=UUID) == UUID(int=7)
    assert call.get("deep", pointer="/list", type=list[Cart]) == [CART]
    assert call.get("cart") == {
        "items": [{"name": "shoes", "price": "12.10"}],
        "since": "2026-11-21T12:00:00Z",
    }


def test_every_way_of_writing_takes_what_the_client_can_convert(
    call: SessionHandle, account: Account
) -> None:
    value: Any = State.OPEN
    call.set("a", value)
    call.set("b", value, ttl=60)
    call.create("c", value)
    call.append("d", value)
    call.merge("e", {"state": value})
    call.modify("f", lambda _: value)
    assert call.setdefault("g", value) is value
    assert call.all() == {
        **dict.fromkeys("abcfg", "open"),
        "d": ["open"],
        "e": {"state": "open"},
    }
    with ContextClient(
        account.server_url, account.id, api_key=account.key, default=lambda state: state.value
    ) as client:
        client.set_property("airline", "a", value)
        with client.batch() as batch:
            batch.namespace("airline").set("b", value)
            batch.session("airline", "conv-2").set("b", [value])
        assert client.get_properties("airline") == {"a": "open", "b": "open"}


def test_a_function_that_returns_no_json_is_named() -> None:
    client = ContextClient("http://127.0.0.1:1", "acme", api_key="k", default=lambda _: {1, 2})
    value: Any = object()
    with pytest.raises(InvalidArgumentError, match="set, which `default` returned for object"):
        client.set_property("airline", "a", value)


def test_a_default_may_return_containers_with_more_of_their_kind(account: Account) -> None:
    def plain(value: Any) -> Any:
        return {**vars(value)} if is_dataclass(value) else str(value)

    with ContextClient(
        account.server_url, account.id, api_key=account.key, default=plain
    ) as client:
        value: Any = CART
        client.set_property("airline", "cart", value)
        assert client.get_property("airline", "cart") == {
            "items": [{"name": "shoes", "price": 12.1}],
            "since": "2026-11-21 12:00:00+00:00",
        }
        assert asdict(CART)["items"][0]["price"] == Decimal("12.10")


def test_plain_types_are_checked(call: SessionHandle) -> None:
    call.update({"text": "1", "whole": 1, "yes": True, "list": [1], "object": {"row": 7}})
    assert call.get("text", type=str) == "1"
    assert call.get("whole", type=int) == 1
    assert type(call.get("whole", type=float)) is float
    assert call.get("yes", type=bool) is True
    assert call.get("list", type=list) == [1]
    assert call.get("object", type=dict) == {"row": 7}
    wrong: list[tuple[str, type]] = [
        ("text", int),
        ("whole", str),
        ("yes", int),
        ("yes", float),
        ("whole", bool),
        ("list", dict),
        ("object", list),
    ]
    for name, kind in wrong:
        with pytest.raises(UnexpectedValueError, match=f"'{name}' is not a {kind.__name__}"):
            call.get(name, type=kind)


def test_a_value_of_another_type_is_an_error_that_says_where(call: SessionHandle) -> None:
    call.update({"seat": {"row": "7", "letter": "A"}, "numbers": [1, "2"]})
    with pytest.raises(UnexpectedValueError, match=r"'seat' is not a Seat: .*\$\.row"):
        call.get("seat", type=Seat)
    with pytest.raises(ValueError, match=r"'numbers' is not a list\[int\]"):
        call.get("numbers", type=list[int])
    with pytest.raises(UnexpectedValueError, match="'numbers' is not a Model: a dict expected"):
        call.get("numbers", type=Model)


def test_a_pydantic_model_validates_itself(call: SessionHandle) -> None:
    call["person"] = {"name": "Ana"}
    person = call.get("person", type=Model)
    assert person is not None
    assert person.name == "Ana"


def test_an_absent_property_reads_as_the_default_of_any_type(call: SessionHandle) -> None:
    assert call.get("cart", type=Cart) is None
    assert call.get("cart", "none", type=Cart) == "none"
    call["null"] = None
    with pytest.raises(UnexpectedValueError):  # a stored null is a value
        call.get("null", type=str)


def test_the_client_reads_types_too(call: SessionHandle, client: ContextClient) -> None:
    call["seat"] = {"row": 7, "letter": "A"}
    seat = client.get_property("airline", "seat", session_id="conv-1", type=Seat)
    assert seat["row"] == 7
    with pytest.raises(UnexpectedValueError):
        client.get_property("airline", "seat", session_id="conv-1", type=str)
    with pytest.raises(PropertyNotFoundError):
        client.get_property("airline", "absent", type=str)


def test_without_the_validator_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['msgspec'] = None\n"
        "from datetime import date\n"
        "from ccs_sdk._typed import as_type\n"
        "assert as_type(1, int, 'It') == 1\n"
        "as_type('2026-11-21', date, 'It')"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.stderr.splitlines()[-1] == (
        f"ccs_sdk.errors.{ConfigurationError.__name__}: To read a date, install msgspec:"
        " pip install 'ccs-sdk[typed]'."
    )
