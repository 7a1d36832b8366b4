"""The extension: what this service offers beyond v1 and v2 (docs/extension.md)."""

from ccs_server.api.ext import find, keys, operations, tokens  # noqa: F401 - they add their views
from ccs_server.api.ext.blueprint import blueprint

__all__ = ["blueprint"]
