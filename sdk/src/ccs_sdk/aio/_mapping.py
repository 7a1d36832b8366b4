"""What asynchronous handles have no form for: an assignment, `in`, `del` and `for` cannot wait.

Without these, Python would take a handle for a sequence, because it has `__getitem__`, and `in` would
never end.
"""


class AsyncMappingSyntax:
    """Refuses `in` and `for`; use `await handle.has(…)` and `async for`."""

    __slots__ = ()

    __contains__ = None
    __iter__ = None


class AsyncSessionTTLSyntax:
    """Use `await handle.get_ttl()` and `await handle.set_ttl(…)`."""

    __slots__ = ()


class AsyncNamespaceTTLSyntax:
    """Use `await handle.get_ttl()` and `await handle.set_ttl(…)`."""

    __slots__ = ()
