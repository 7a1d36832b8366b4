"""The query parameters of the extension. Unknown ones are refused (docs/extension.md, section 0)."""

from collections.abc import Mapping
from urllib.parse import parse_qs

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
    return {
        name: values[0]
        for name, values in read_repeated_parameters(dict.fromkeys(names, 1)).items()
    }


def read_repeated_parameters(most: Mapping[str, int]) -> dict[str, list[str]]:
    """As `read_parameters`, each with all its values. `most` says how often each may be given."""
    query: str = current_request().environ["QUERY_STRING"]
    try:
        given = parse_qs(query.encode("latin-1").decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput("The query must be percent-encoded UTF-8.", "query") from None
    for name, values in given.items():
        if name not in most:
            raise InvalidInput(f"There is no parameter '{name}' here; leave it out.", name)
        if len(values) > most[name]:
            times = "once" if most[name] == 1 else f"at most {most[name]} times"
            raise InvalidInput(f"{name} may be given {times}.", name)
    return given
