"""A browser for the tests of the console, and its user."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from ccs_server.store.database import Database
from tests.console.user import User
from tests.support.browsers import running_browser
from tests.support.service import Account, Server, new_account


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def admin(server: Server, database: Database) -> Iterator[Account]:
    """A new account, with an admin key."""
    with new_account(server, database, "admin") as account:
        yield account


@pytest.fixture(scope="package")
def one_user(browser: Browser, server: Server) -> Iterator[User]:
    with User(browser, server.url) as user:
        yield user


@pytest.fixture
def user(one_user: User) -> Iterator[User]:
    """A user of the console. All tests have the same one, who signs out before opening it: loading it takes longest."""
    yield one_user
    one_user.check_errors()
