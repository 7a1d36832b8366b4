"""The extension: what this service offers beyond v1 and v2 (docs/extension.md)."""

from ccs_server.api.ext import find, operations  # noqa: F401 - they add their views to the blueprint
from ccs_server.api.ext.blueprint import blueprint

__all__ = ["blueprint"]
