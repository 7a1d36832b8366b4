"""The asynchronous clients, for asyncio and trio: `pip install 'ccs-sdk[async]'`.

They have the methods of the synchronous ones, to be awaited. Models, errors and options are those of
`ccs_sdk`.

```python
from ccs_sdk.aio import AsyncContextClient

async with AsyncContextClient("http://127.0.0.1:8000", "acme", api_key="…") as client:
    call = client.namespace("airline").session("conv-1")
    await call.set("intent", "rebook")
    await call.all()  # {'intent': 'rebook'}
```
"""

try:
    from ccs_sdk.aio._client_options import AsyncClientOptions
    from ccs_sdk.aio._pages import AsyncPages
    from ccs_sdk.aio.batches import AsyncBatch
    from ccs_sdk.aio.client import AsyncContextClient
    from ccs_sdk.aio.documents import AsyncDocumentClient
    from ccs_sdk.aio.handles import AsyncNamespaceHandle, AsyncSessionHandle
    from ccs_sdk.aio.jobs import AsyncJobHandle, AsyncJobs
    from ccs_sdk.aio.keys import AsyncKeys
    from ccs_sdk.aio.leases import AsyncLease, AsyncOnLost, AsyncTurn
    from ccs_sdk.aio.properties import AsyncPropertiesHandle
    from ccs_sdk.aio.scopes import AsyncScopes
    from ccs_sdk.aio.webhooks import AsyncWebhooks
except ModuleNotFoundError as error:
    if error.name not in {"anyio", "httpx2"}:
        raise
    raise ModuleNotFoundError(
        "The asynchronous clients need httpx2: pip install 'ccs-sdk[async]'.", name=error.name
    ) from None

__all__ = [
    "AsyncBatch",
    "AsyncClientOptions",
    "AsyncContextClient",
    "AsyncDocumentClient",
    "AsyncJobHandle",
    "AsyncJobs",
    "AsyncKeys",
    "AsyncLease",
    "AsyncNamespaceHandle",
    "AsyncOnLost",
    "AsyncPages",
    "AsyncPropertiesHandle",
    "AsyncScopes",
    "AsyncSessionHandle",
    "AsyncTurn",
    "AsyncWebhooks",
]
