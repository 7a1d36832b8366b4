"""Typed client of the Conversation Context Service.

`ContextClient` uses version 1 with an API key. `DocumentClient` uses version 2 with a user name and
a password. Every error is a `CCSError`; `ccs_sdk.errors` shows the tree.

```python
from ccs_sdk import ContextClient

with ContextClient("http://127.0.0.1:8000", "acme", api_key="…") as client:
    call = client.namespace("airline").session("conv-1")
    call["intent"] = "rebook"
    call.all()  # {'intent': 'rebook'}
```
"""

from ccs_sdk._client_options import ClientOptions
from ccs_sdk._events import OnRequest, OnResponse, RequestEvent, ResponseEvent, recorded_responses
from ccs_sdk._json import JSON, Default
from ccs_sdk._names import DEFAULT_SESSION
from ccs_sdk._pages import Pages
from ccs_sdk._retry import OnRetry, RetryEvent, RetryPolicy
from ccs_sdk._signatures import verify_webhook
from ccs_sdk._states import Job, JobProgress, LeaseGrant, LeaseHolder, Property
from ccs_sdk._version import __version__
from ccs_sdk.batches import Batch, BatchProperties, Result
from ccs_sdk.client import ContextClient
from ccs_sdk.documents import DocumentClient
from ccs_sdk.errors import (
    AuthenticationError,
    BadAnswerError,
    BadRequestError,
    CCSError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ConnectionFailedError,
    GoneError,
    InvalidArgumentError,
    JobFailedError,
    KeyReusedError,
    LeasedError,
    LeaseLostError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    PropertyNotFoundError,
    ServerError,
    ServiceUnavailableError,
    StatusError,
    TimedOutError,
    TooLargeError,
    TooManyRequestsError,
    TransportError,
    UnexpectedValueError,
    UnsupportedMediaTypeError,
    WebhookVerificationError,
)
from ccs_sdk.handles import NamespaceHandle, SessionHandle
from ccs_sdk.jobs import JobHandle, Jobs
from ccs_sdk.keys import Keys
from ccs_sdk.leases import Lease, OnLost, Turn
from ccs_sdk.models import (
    FOREVER,
    Activity,
    APIKey,
    Change,
    Count,
    Document,
    DocumentReceipt,
    Expiries,
    Hit,
    ImportResult,
    MinuteCounts,
    Namespace,
    NamespaceCounts,
    NamespaceSettings,
    NewAPIKey,
    NewWebhook,
    SessionProperties,
    SessionToken,
    SessionTTL,
    Token,
    Webhook,
    WebhookMessage,
)
from ccs_sdk.properties import PropertiesHandle
from ccs_sdk.scopes import Scopes
from ccs_sdk.webhooks import Webhooks

__all__ = [
    "DEFAULT_SESSION",
    "FOREVER",
    "JSON",
    "APIKey",
    "Activity",
    "AuthenticationError",
    "BadAnswerError",
    "BadRequestError",
    "Batch",
    "BatchProperties",
    "CCSError",
    "Change",
    "ClientClosedError",
    "ClientOptions",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "ContextClient",
    "Count",
    "Default",
    "Document",
    "DocumentClient",
    "DocumentReceipt",
    "Expiries",
    "GoneError",
    "Hit",
    "ImportResult",
    "InvalidArgumentError",
    "Job",
    "JobFailedError",
    "JobHandle",
    "JobProgress",
    "Jobs",
    "KeyReusedError",
    "Keys",
    "Lease",
    "LeaseGrant",
    "LeaseHolder",
    "LeaseLostError",
    "LeasedError",
    "MethodNotAllowedError",
    "MinuteCounts",
    "Namespace",
    "NamespaceCounts",
    "NamespaceHandle",
    "NamespaceSettings",
    "NewAPIKey",
    "NewWebhook",
    "NotFoundError",
    "OnLost",
    "OnRequest",
    "OnResponse",
    "OnRetry",
    "Pages",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "PropertiesHandle",
    "Property",
    "PropertyNotFoundError",
    "RequestEvent",
    "ResponseEvent",
    "Result",
    "RetryEvent",
    "RetryPolicy",
    "Scopes",
    "ServerError",
    "ServiceUnavailableError",
    "SessionHandle",
    "SessionProperties",
    "SessionTTL",
    "SessionToken",
    "StatusError",
    "TimedOutError",
    "Token",
    "TooLargeError",
    "TooManyRequestsError",
    "TransportError",
    "Turn",
    "UnexpectedValueError",
    "UnsupportedMediaTypeError",
    "Webhook",
    "WebhookMessage",
    "WebhookVerificationError",
    "Webhooks",
    "__version__",
    "recorded_responses",
    "verify_webhook",
]
