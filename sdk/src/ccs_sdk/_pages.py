"""Listings that page through everything by themselves."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 100


class Pages(Generic[T]):
    """A lazy listing: `for item in listing` asks for a page when the one before is used up.

    Each loop begins anew. What is saved or deleted during a loop may be missed or come twice,
    because a page is a position in an ordered list; to delete as you go, take `list(listing)`
    first.
    """

    def __init__(self, fetch: Callable[[int, int], list[T]], page_size: int, path: str) -> None:
        self._fetch = fetch
        self._page_size = page_size
        self._path = path

    def __repr__(self) -> str:
        return f"<Pages of {self._path}, page_size={self._page_size!r}>"

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def page(self, number: int) -> list[T]:
        """The page of that number, counted from 0; past the end it is empty."""
        return self._fetch(number, self._page_size)

    def pages(self) -> Iterator[list[T]]:
        """Every page that has something in it, lazily."""
        for number in count():
            page = self.page(number)
            if page:
                yield page
            if len(page) < self._page_size:
                return
