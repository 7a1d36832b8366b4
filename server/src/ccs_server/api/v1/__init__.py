"""v1: properties of namespaces and sessions, one by one or together, for the holder of an account's key."""

from ccs_server.api.v1 import namespaces, properties, sessions  # noqa: F401 - they add their views to it
from ccs_server.api.v1.blueprint import ALIASES, CONVERTERS, blueprint

__all__ = ["ALIASES", "CONVERTERS", "blueprint"]
