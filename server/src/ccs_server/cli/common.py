"""Code that the commands share: opening the store, common arguments, output and error handling."""

import json
import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import click

from ccs_server.domain.errors import ContextError, InvalidInput, Unavailable
from ccs_server.domain.names import check_account
from ccs_server.embedded import EmbeddedError, EmbeddedPostgres
from ccs_server.settings import SettingError, Settings
from ccs_server.store import schema
from ccs_server.store.audit import OPERATOR
from ccs_server.store.backup import BackupError
from ccs_server.store.database import Database
from ccs_server.store.distribution import DistributionError
from ccs_server.store.faults import StoreFault

Command = TypeVar("Command", bound=Callable[..., Any])

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


_KNOWN = (SettingError, EmbeddedError, ContextError, StoreFault, BackupError, DistributionError)


class Commands(click.Group):
    """A group of commands that reports an error as one sentence, with exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command, and converts known errors to click's."""
        try:
            return super().invoke(ctx)
        except _KNOWN as error:
            raise click.ClickException(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    """Returns the message of an error, with the database's own reason if there is one."""
    if isinstance(error, Unavailable) and error.__cause__:
        reason = str(error.__cause__).splitlines()[0]
        return f"{error.message.rstrip('.')} ({reason})."
    return str(error)


class AccountName(click.ParamType[str]):
    """The type of an argument that is an account id."""

    name = "account"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the value; the command fails if it is not a valid account id."""
        try:
            return check_account(value)
        except InvalidInput as error:
            self.fail(error.message, param, ctx)


account_argument = click.argument("account", type=AccountName())


@dataclass(frozen=True)
class Store:
    """The configured store. The schema of an external database may be outdated."""

    settings: Settings
    url: str = field(repr=False)
    embedded: EmbeddedPostgres | None
    database: Database


@contextmanager
def opened_store() -> Iterator[Store]:
    """Opens the configured store. An embedded one is started during the block, and migrated if necessary.

    Raises:
        SettingError: a setting cannot be used.
        EmbeddedError: the embedded PostgreSQL cannot be started.
        Unavailable: the embedded PostgreSQL cannot be used.
    """
    settings = Settings.from_environment()
    if settings.database_url:
        database = Database(settings.database_url, settings)
        try:
            yield Store(settings, settings.database_url, None, database)
        finally:
            database.release()
        return
    stop_seconds = settings.shutdown_timeout
    with EmbeddedPostgres(settings.data_dir, stop_seconds=stop_seconds) as embedded:
        settings = replace(settings, database_url=embedded.url)
        database = Database(embedded.url, settings)
        try:
            _ensure_current(database, embedded.url)
            yield Store(settings, embedded.url, embedded, database)
        finally:
            database.release()


@contextmanager
def located_database() -> Iterator[str]:
    """Yields the URL of the configured database, whatever it contains.

    An embedded one is started during the block, but not migrated.

    Raises:
        SettingError: a setting cannot be used.
        EmbeddedError: the embedded PostgreSQL cannot be started.
    """
    settings = Settings.from_environment()
    if settings.database_url:
        yield settings.database_url
        return
    with EmbeddedPostgres(settings.data_dir) as embedded:
        yield embedded.url


def _ensure_current(database: Database, url: str) -> None:
    try:
        schema.check(database)
    except Unavailable:
        schema.migrate(url)


def operator() -> str:
    """Returns the actor for the audit log: the operating system's user who runs this command."""
    user = os.getuid()
    try:
        return f"{OPERATOR}:{pwd.getpwuid(user).pw_name}"
    except KeyError:  # a container's user may have no name
        return f"{OPERATOR}:{user}"


def say(said: Mapping[str, object], text: str, *, as_json: bool) -> None:
    """Prints the result of a command: `said` as JSON, or `text`."""
    click.echo(json.dumps(said) if as_json else text)
