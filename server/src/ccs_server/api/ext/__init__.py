"""The extension: what this service offers beyond v1 and v2 (docs/extension.md)."""

from ccs_server.api.ext import find, keys, operations, tokens, transfer  # noqa: F401 - they add their views
from ccs_server.api.ext.blueprint import (
    find_blueprint,
    keys_blueprint,
    operations_blueprint,
    transfer_blueprint,
)

__all__ = ["find_blueprint", "keys_blueprint", "operations_blueprint", "transfer_blueprint"]
