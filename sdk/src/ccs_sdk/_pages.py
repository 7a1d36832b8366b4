# Generated from aio/_pages.py by sdk/generate.py. Edit that file.
"""Listings that fetch their pages as needed."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 100


class Pages(Generic[T]):
    """A lazy listing: `for item in listing` requests a page when the previous one is used up.

    Each loop starts from the beginning, or after the id that was given. A service without the
    parameter `after` finds a page by its position in the list, so sessions may be missed or repeated
    if others are saved or deleted during the loop. To delete sessions in the loop, iterate over `list(listing)`.
    """

    def __init__(
        self,
        fetch: Callable[[int, int, str | None], list[T]],
        page_size: int,
        session_id: Callable[[T], str],
        path: str,
        begin: str | None = None,
    ) -> None:
        self._fetch = fetch
        self._session_id = session_id
        self._page_size = page_size
        self._path = path
        self._begin = begin

    def __repr__(self) -> str:
        return f"<Pages of {self._path}, page_size={self._page_size!r}>"

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            for item in page:
                yield item

    def page(self, number: int) -> list[T]:
        """Returns the page with this number of the whole listing, counted from 0. Past the end it is empty."""
        return self._fetch(number, self._page_size, None)

    def pages(self) -> Iterator[list[T]]:
        """Iterates over all non-empty pages, lazily."""
        after = self._begin
        for number in count():
            # The number is for a service that ignores `after`. With `after`, all pages cost the same.
            page = self._fetch(number, self._page_size, after)
            if page:
                yield page
            if len(page) < self._page_size:
                return
            after = self._session_id(page[-1])
