"""Types of what the bodies of v1 and v2 hold, as msgspec reads and writes them.

What they say beside the type is for the OpenAPI document: it makes decoding neither stricter nor slower. The rules of
names are checked by `domain`.
"""

from typing import Annotated

from msgspec import Meta, Raw

from ccs_server.api import openapi as docs

Value = Annotated[Raw, Meta(description="Any JSON value.")]
PropertyName = Annotated[str, Meta(extra_json_schema=docs.NAME_SCHEMA)]
Properties = dict[PropertyName, Value]
