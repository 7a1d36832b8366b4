"""The bodies of v1 that hold properties."""

from msgspec import Raw
from msgspec.json import Decoder, encode

from ccs_server.api.types import Properties, Value
from ccs_server.domain.access import Access
from ccs_server.domain.names import check_properties
from ccs_server.http.body import read_json

_object = Decoder(Properties)
_value: Decoder[Raw] = Decoder(Value)


def read_properties(access: Access) -> tuple[bytes, int]:
    """The request's body as a JSON object of properties, ready to be stored, and how many they are.

    Args:
        access: the rights of the request's credential.

    Raises:
        InvalidInput: it is not a JSON object, a name breaks the rules, or a value cannot be stored.
        Forbidden: the credential is limited to other names.
    """
    members = read_json(_object, wrapping=1)
    check_properties(members)
    access.require_names(members)
    return encode(members), len(members)


def read_value() -> bytes:
    """The request's body as the value of a property, ready to be stored.

    Raises:
        InvalidInput: it is not JSON, or cannot be stored.
    """
    return bytes(read_json(_value, wrapping=0))


def property_object(name: str, value: bytes) -> bytes:
    """A JSON object of one property."""
    return encode({name: Raw(value)})
