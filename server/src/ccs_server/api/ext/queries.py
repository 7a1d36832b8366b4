"""The query parameters of the extension. Unknown ones are refused (docs/extension.md, section 0)."""

from urllib.parse import parse_qsl

from ccs_server.api.accounts import current_request
from ccs_server.domain.errors import InvalidInput


def check_no_parameters() -> None:
    """Raises InvalidInput if the request has query parameters; for operations that have none."""
    if current_request().environ["QUERY_STRING"]:
        read_parameters()


def read_parameters(*names: str) -> dict[str, str]:
    """Returns the query parameters of the request by their names.

    Raises:
        InvalidInput: there is one of another name, or several of one name, or one is not UTF-8.
    """
    found: dict[str, str] = {}
    for name, value in _parameters():
        if name not in names:
            raise InvalidInput(f"There is no parameter '{name}' here; leave it out.", name)
        if name in found:
            raise InvalidInput(f"Give {name} once.", name)
        found[name] = value
    return found


def _parameters() -> list[tuple[str, str]]:
    query: str = current_request().environ["QUERY_STRING"]
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput("The query must be percent-encoded UTF-8.", "query") from None
