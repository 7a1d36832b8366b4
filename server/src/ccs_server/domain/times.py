"""Formats times as the API and the command line show them."""

from datetime import UTC, datetime


def utc(moment: datetime) -> str:
    """Formats a time: UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
