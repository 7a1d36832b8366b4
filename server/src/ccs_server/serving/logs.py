"""The log of a running service: lines on standard error, for whatever collects them."""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {"alembic": {"level": "WARNING"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}
"""For `logging.config.dictConfig`."""
