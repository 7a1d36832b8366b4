"""Listings that page through everything by themselves."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 100


class Pages(Generic[T]):
    """A lazy listing: `for item in listing` asks for a page when the one before is used up.

    Each loop begins anew. A service that knows no `after` finds a page by its position in the
    list, so what is saved or deleted during a loop may be missed or come twice there; to delete
    as you go, take `list(listing)` first.
    """

    def __init__(
        self,
        fetch: Callable[[int, int, str | None], list[T]],
        page_size: int,
        session_id: Callable[[T], str],
        path: str,
    ) -> None:
        self._fetch = fetch
        self._session_id = session_id
        self._page_size = page_size
        self._path = path

    def __repr__(self) -> str:
        return f"<Pages of {self._path}, page_size={self._page_size!r}>"

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def page(self, number: int) -> list[T]:
        """The page of that number, counted from 0; past the end it is empty."""
        return self._fetch(number, self._page_size, None)

    def pages(self) -> Iterator[list[T]]:
        """Every page that has something in it, lazily."""
        after = None
        for number in count():
            # By its number, for a service that ignores `after`; with it, pages cost the same at any depth.
            page = self._fetch(number, self._page_size, after)
            if page:
                yield page
            if len(page) < self._page_size:
                return
            after = self._session_id(page[-1])
