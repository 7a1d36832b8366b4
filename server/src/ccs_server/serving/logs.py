"""The log of a running service: lines on standard error, for whatever collects them."""

from typing import Any

from ccs_server.settings import LogLevel


def logging_of(level: LogLevel) -> dict[str, Any]:
    """For `logging.config.dictConfig`: everything from `level` up."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"format": "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"}
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        # Alembic tells at "info" that it runs, at every start.
        "loggers": {"alembic": {"level": "WARNING" if level == "info" else level.upper()}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
    }
