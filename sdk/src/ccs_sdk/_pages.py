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

    Each loop begins anew. What is saved or deleted during a loop may be missed or come twice,
    because a page is a position in an ordered list; to delete as you go, take `list(listing)`
    first.
    """

    def __init__(self, fetch: Callable[[int, int], list[T]], page_size: int) -> None:
        if type(page_size) is not int or not 1 <= page_size <= MAX_PAGE_SIZE:
            raise InvalidArgumentError(_out_of_range("perPage", 1, MAX_PAGE_SIZE))
        self._fetch = fetch
        self._page_size = page_size

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def page(self, number: int) -> list[T]:
        """The page of that number, counted from 0; past the end it is empty."""
        if type(number) is not int or not 0 <= number <= MAX_PAGE:
            raise InvalidArgumentError(_out_of_range("page", 0, MAX_PAGE))
        return self._fetch(number, self._page_size)

    def pages(self) -> Iterator[list[T]]:
        """Every page that has something in it, lazily."""
        for number in count():
            page = self.page(number)
            if page:
                yield page
            if len(page) < self._page_size:
                return


def _out_of_range(field: str, least: int, most: int) -> str:
    return f"{field}: Must be greater than or equal to {least} and less than or equal to {most}."
