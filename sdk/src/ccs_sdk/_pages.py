"""Listings that page through everything by themselves."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Generic, TypeVar

from ccs_sdk.errors import InvalidArgumentError

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
MAX_PAGE = 2**63 // MAX_PAGE_SIZE - 1


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
    ) -> None:
        if type(page_size) is not int or not 1 <= page_size <= MAX_PAGE_SIZE:
            raise InvalidArgumentError(_out_of_range("perPage", 1, MAX_PAGE_SIZE))
        self._fetch = fetch
        self._session_id = session_id
        self._page_size = page_size

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def page(self, number: int) -> list[T]:
        """The page of that number, counted from 0; past the end it is empty."""
        if type(number) is not int or not 0 <= number <= MAX_PAGE:
            raise InvalidArgumentError(_out_of_range("page", 0, MAX_PAGE))
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


def _out_of_range(field: str, least: int, most: int) -> str:
    return f"{field}: Must be greater than or equal to {least} and less than or equal to {most}."
