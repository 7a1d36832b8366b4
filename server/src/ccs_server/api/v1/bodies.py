"""The bodies of v1 that hold properties."""

from msgspec import Raw
from msgspec.json import Decoder

from ccs_server.api.types import Properties, Value
from ccs_server.domain.access import Access
from ccs_server.domain.names import check_properties
from ccs_server.http.body import read_json

_object = Decoder(Properties)
_value: Decoder[Raw] = Decoder(Value)


def read_properties(access: Access) -> Properties:
    """The request's body as properties whose values are JSON, ready to be stored.

    Args:
        access: the rights of the request's credential.

    Raises:
        InvalidInput: it is not a JSON object, a name breaks the rules, or a value cannot be stored.
        Forbidden: the credential is limited to other names.
    """
    members = read_json(_object, wrapping=1)
    check_properties(members)
    access.require_names(members)
    return members


def read_value() -> bytes:
    """The request's body as the value of a property, ready to be stored.

    Raises:
        InvalidInput: it is not JSON, or cannot be stored.
    """
    return bytes(read_json(_value, wrapping=0))
