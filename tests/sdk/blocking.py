"""Asynchronous clients that are used like synchronous ones, so that one test holds both.

Each call runs as a task of an event loop in another thread. `call["a"] = 1` is `set`, `in` is `has`, and so on.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from types import TracebackType
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from ccs_sdk import aio

_PORTALS = ExitStack()


@cache
def portal() -> BlockingPortal:
    """Returns the event loop of this test run, in a thread that runs until `end`."""
    return _PORTALS.enter_context(start_blocking_portal("asyncio"))


def end() -> None:
    """Ends the event loop and its thread."""
    portal.cache_clear()
    _PORTALS.close()


def _waited(result: Any) -> Any:
    """Waits for what can be awaited, and wraps what belongs to the asynchronous clients."""
    if inspect.iscoroutine(result):
        return _waited(portal().call(lambda: result))
    if inspect.isasyncgen(result):
        return _iterated(result)
    return Blocking(result) if type(result).__module__.startswith(aio.__name__) else result


def _iterated(items: Any) -> Iterator[Any]:
    async def following() -> tuple[Any, ...]:
        try:
            return (await anext(items),)
        except StopAsyncIteration:
            return ()

    while item := portal().call(following):
        yield _waited(item[0])


class Blocking:
    """An asynchronous client, or what it returns."""

    def __init__(self, wrapped: Any) -> None:
        vars(self)["_wrapped"] = wrapped

    def __getattr__(self, name: str) -> Any:
        if name == "ttl":
            return _waited(self._wrapped.get_ttl())
        attribute = getattr(self._wrapped, name)
        if not inspect.ismethod(attribute):
            return _waited(attribute)

        def call(*arguments: Any, **options: Any) -> Any:
            return _waited(attribute(*map(_unwrapped, arguments), **_unhooked(options)))

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "ttl":
            setattr(self._wrapped, name, value)
            return
        portal().call(self._wrapped.set_ttl, value)

    def __repr__(self) -> str:
        return repr(self._wrapped).replace("Async", "")

    def __getitem__(self, name: str) -> Any:
        return _waited(self._wrapped[name])

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, name: str) -> bool:
        return bool(self.has(name))

    def __iter__(self) -> Iterator[Any]:
        return _iterated(aiter(self._wrapped))

    def __enter__(self) -> Any:
        # One task enters and leaves, as in an `async with` statement.
        context = portal().wrap_async_context_manager(self._wrapped)
        entered = context.__enter__()
        vars(self)["_context"] = context
        return self if entered is self._wrapped else _waited(entered)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        vars(self).pop("_context").__exit__(kind, error, traceback)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blocking) and other._wrapped is self._wrapped

    __hash__ = None  # type: ignore[assignment]


def _unwrapped(value: Any) -> Any:
    return value._wrapped if isinstance(value, Blocking) else value


def _unhooked(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the options, with functions of an asynchronous object as functions of a blocking one."""
    on_lost: Callable[[Any], object] | None = options.get("on_lost")
    if not callable(on_lost):
        return options

    def lost(turn: Any) -> None:
        on_lost(Blocking(turn))

    return options | {"on_lost": lost}


class BlockingContextClient(Blocking):
    """`AsyncContextClient`, used like `ContextClient`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(aio.AsyncContextClient(*arguments, **options))


class BlockingDocumentClient(Blocking):
    """`AsyncDocumentClient`, used like `DocumentClient`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(aio.AsyncDocumentClient(*arguments, **options))


def of_flavour(flavour: str) -> dict[str, Any]:
    """Returns the names to replace so that a test of the synchronous clients tests others."""
    if flavour == "sync":
        return {}
    return {"ContextClient": BlockingContextClient, "DocumentClient": BlockingDocumentClient}
