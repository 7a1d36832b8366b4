"""Times to live (contract, section 2). Which one is in force is decided inside the store's statements, by the database's clock."""

from ccs_server.domain.errors import InvalidInput

FOREVER = 0
MAX_TTL_SECONDS = 2_147_483_647


def check_ttl(seconds: int, field: str) -> int:
    """Raises InvalidInput unless `seconds` is a time to live."""
    if not FOREVER <= seconds <= MAX_TTL_SECONDS:
        raise InvalidInput(
            f"{field} must be a whole number of seconds from 0 (forever) to {MAX_TTL_SECONDS}.",
            field,
        )
    return seconds
