"""What the commands share: settings, the store, one JSON object or some lines of text, errors as one sentence."""

import json
import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
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
from ccs_server.store.faults import StoreFault

Command = TypeVar("Command", bound=Callable[..., Any])

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


class Commands(click.Group):
    """The commands of `ccs`: what goes wrong is told in one sentence, with exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except (SettingError, EmbeddedError, ContextError, StoreFault, BackupError) as error:
            raise click.ClickException(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    """What went wrong, with the database's own reason where that is behind it."""
    if isinstance(error, Unavailable) and error.__cause__:
        reason = str(error.__cause__).splitlines()[0]
        return f"{error.message.rstrip('.')} ({reason})."
    return str(error)


class AccountName(click.ParamType[str]):
    """An argument that is an account id."""

    name = "account"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Checks it by the rule of the contract."""
        try:
            return check_account(value)
        except InvalidInput as error:
            self.fail(error.message, param, ctx)


account_argument = click.argument("account", type=AccountName())


@dataclass(frozen=True)
class Store:
    """The store that the settings name; it is there, though an external one may be behind."""

    settings: Settings
    url: str = field(repr=False)
    embedded: EmbeddedPostgres | None
    database: Database


@contextmanager
def opened_store() -> Iterator[Store]:
    """The store, for the length of the block. The embedded one is started, and migrated if need be.

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
    """The URL of the database that the settings name, whatever is in it, for the length of the block.

    The embedded one is started, but not migrated.

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
    """Who runs this command, as the audit names it: by the system's name of this process's user."""
    user = os.getuid()
    try:
        return f"{OPERATOR}:{pwd.getpwuid(user).pw_name}"
    except KeyError:  # a container's user may have no name
        return f"{OPERATOR}:{user}"


def utc(moment: datetime) -> str:
    """A moment as the API writes it: UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def say(said: Mapping[str, object], text: str, *, as_json: bool) -> None:
    """Prints a command's result, for a program or for a person."""
    click.echo(json.dumps(said) if as_json else text)
