"""The extension: what this service offers beyond v1 and v2 (docs/extension.md)."""

from ccs_server.api.ext import operations  # noqa: F401 - it adds its views to the blueprint
from ccs_server.api.ext.blueprint import blueprint

__all__ = ["blueprint"]
