"""The query parameters of the extension. Unknown ones are refused (docs/extension.md, section 0)."""

from urllib.parse import parse_qs

from ccs_server.api.accounts import current_request
from ccs_server.domain.errors import InvalidInput


def check_no_parameters() -> None:
    """Raises InvalidInput if the request has query parameters; for operations that have none."""
    query: str = current_request().environ["QUERY_STRING"]
    if not query:
        return
    for name in parse_qs(query, keep_blank_values=True):
        raise InvalidInput(f"There is no parameter '{name}' here; leave it out.", name)
