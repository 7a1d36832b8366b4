"""The numbers in bodies of the extension."""

from ccs_server.domain.errors import InvalidInput


def check_whole(number: float, least: int, most: int, field: str) -> int:
    """Returns a whole number from `least` to `most`, such as 60 or 60.0; raises InvalidInput for `field` otherwise."""
    if not (least <= number <= most and number == int(number)):
        raise InvalidInput(f"{field} must be a whole number from {least} to {most}.", field)
    return int(number)
