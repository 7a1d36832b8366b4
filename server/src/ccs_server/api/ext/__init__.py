"""The extension: what this service offers beyond v1 and v2 (docs/extension.md)."""

from ccs_server.api.ext import (  # noqa: F401 - they add their views
    activity,
    changes,
    find,
    jobs,
    keys,
    namespace_settings,
    operations,
    tokens,
    transfer,
    webhooks,
)
from ccs_server.api.ext.blueprint import (
    activity_blueprint,
    changes_blueprint,
    find_blueprint,
    jobs_blueprint,
    keys_blueprint,
    operations_blueprint,
    settings_blueprint,
    transfer_blueprint,
    webhooks_blueprint,
)
from ccs_server.api.ext.streams import Streams

BLUEPRINTS = (
    operations_blueprint,
    find_blueprint,
    settings_blueprint,
    changes_blueprint,
    webhooks_blueprint,
    transfer_blueprint,
    jobs_blueprint,
    activity_blueprint,
    keys_blueprint,
)

__all__ = ["BLUEPRINTS", "Streams"]
