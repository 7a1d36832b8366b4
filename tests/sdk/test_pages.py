"""Listings request a page when they need it, and stop at the end."""

from itertools import islice

import pytest

from ccs_sdk import Pages


class Listing:
    """A listing of the numbers from 0 that records the pages requested."""

    def __init__(self, length: int, page_size: int) -> None:
        self.requested: list[int] = []
        self._all = list(range(length))
        self.after: list[str | None] = []
        self.pages = Pages(self._fetch, page_size, str, "/numbers")

    def _fetch(self, page: int, size: int, after: str | None) -> list[int]:
        self.requested.append(page)
        self.after.append(after)
        return self._all[page * size : (page + 1) * size]


@pytest.mark.parametrize(
    ("length", "requested"), [(0, [0]), (1, [0]), (9, [0]), (10, [0, 1]), (25, [0, 1, 2])]
)
def test_all_items_are_listed_with_as_few_requests_as_possible(
    length: int, requested: list[int]
) -> None:
    listing = Listing(length, page_size=10)
    assert list(listing.pages) == list(range(length))
    assert listing.requested == requested


def test_each_page_is_requested_by_number_and_by_the_item_before_it() -> None:
    listing = Listing(25, page_size=10)
    list(listing.pages)
    assert list(zip(listing.requested, listing.after, strict=True)) == [
        (0, None),
        (1, "9"),
        (2, "19"),
    ]


def test_no_page_is_requested_before_it_is_needed() -> None:
    listing = Listing(25, page_size=10)
    items = iter(listing.pages)
    assert listing.requested == []
    assert list(islice(items, 10)) == list(range(10))
    assert listing.requested == [0]


def test_pages_are_complete_and_each_loop_starts_again() -> None:
    listing = Listing(20, page_size=10)
    assert [len(page) for page in listing.pages.pages()] == [10, 10]
    assert list(listing.pages) == list(listing.pages)
    assert listing.pages.page(1) == list(range(10, 20))
    assert listing.pages.page(7) == []


def test_the_repr_of_a_listing_contains_its_path() -> None:
    assert repr(Listing(1, 10).pages) == "<Pages of /numbers, page_size=10>"
