"""v2: documents, for the holder of a token of an account."""

from ccs_server.api.v2 import documents, login  # noqa: F401 - they add their views to them
from ccs_server.api.v2.blueprint import blueprint, keys_blueprint, login_blueprint

__all__ = ["blueprint", "keys_blueprint", "login_blueprint"]
