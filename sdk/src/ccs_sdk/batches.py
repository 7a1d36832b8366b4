# Generated from aio/batches.py by sdk/generate.py. Edit that file.
"""Batches: many operations in one request, all or nothing."""

from types import TracebackType
from typing import Self

from ccs_sdk._collecting import BatchProperties, Collecting, Result
from ccs_sdk._ext import Extension

__all__ = ["Batch", "BatchProperties", "Result"]


class Batch(Collecting):
    """Operations that are collected in a `with` block and sent together at its end.

    ```python
    with client.batch() as batch:
        call = batch.session("airline", "conv-1")
        call.set("intent", "rebook")
        turns = call.increment("turns")
    print(turns.value)
    ```

    The operations are performed in their order, and each sees those before it. All take place or none
    does, and nobody sees a part: the first that fails raises its error at the end of the block, with
    its position in `error.op`. With `atomic=False` each takes place by itself, and `Result.error` tells
    which failed.

    A batch has 1 to 100 operations, and at most 1 MiB. Without operations nothing is sent, and neither if
    the block raises an error. A retry does not perform an atomic batch twice. With `atomic=False`, a
    batch that increments, appends, leases or has a condition is not retried.
    """

    def __init__(self, extension: Extension, *, atomic: bool) -> None:
        super().__init__(extension.transport.options.default)
        self._extension = extension
        self._atomic = atomic

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        batch = self._collection
        if error is None and batch.ops and not batch.ended:
            batch.outcomes += self._extension.run_all(batch.ops, atomic=self._atomic)
        batch.ended = True
