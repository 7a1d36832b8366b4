"""`ccs quotas`: manages how much accounts may store, and how many requests they may make."""

from dataclasses import asdict
from datetime import UTC

import click

from ccs_server.cli.common import (
    AccountName,
    account_argument,
    as_json_option,
    opened_store,
    operator,
    say,
)
from ccs_server.domain.quotas import LARGEST
from ccs_server.settings import read_rate
from ccs_server.store import quotas as store
from ccs_server.store.counting import count_all
from ccs_server.store.quotas import AccountQuota

_NO_LIMIT = "none"


class _Amount(click.ParamType[int | str]):
    """The type of an option that limits a number, such as that of properties."""

    name = "number"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Parses the value; the command fails if it is not valid."""
        if value == _NO_LIMIT:
            return value
        if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= LARGEST):
            self.fail(
                f"It must be a whole number from 1 to {LARGEST}, or 'none' for no limit.",
                param,
                ctx,
            )
        return int(value)


class _Rate(click.ParamType[str]):
    """The type of an option that limits the rate of requests."""

    name = "rate"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parses the value; the command fails if it is not valid."""
        try:
            return value if value == _NO_LIMIT else read_rate(value)
        except ValueError:
            self.fail(
                "It must be a rate such as 100/second or 5000/minute, or 'none' for no limit.",
                param,
                ctx,
            )


@click.group()
def quotas() -> None:
    """Manage how much accounts may store, and how many requests they may make."""


@quotas.command("set")
@account_argument
@click.option("--properties", type=_Amount(), help="The maximum number of properties.")
@click.option("--bytes", type=_Amount(), help="The maximum size of all properties, in bytes.")
@click.option("--sessions", type=_Amount(), help="The maximum number of sessions.")
@click.option(
    "--requests", type=_Rate(), help="The maximum rate of requests, for example 100/second."
)
@as_json_option
def set_quota(account: str, *, as_json: bool, **given: int | str | None) -> None:
    """Set limits of an account. The value 'none' removes a limit; limits that are not given are unchanged."""
    limits = {
        name: None if limit == _NO_LIMIT else limit
        for name, limit in given.items()
        if limit is not None
    }
    if not limits:
        raise click.UsageError(
            "Give at least one of --properties, --bytes, --sessions, --requests."
        )
    with opened_store() as opened:
        store.set_quota(opened.database, account, limits, operator())
        found = store.find_quota(opened.database, account)
    _say_all([found] if found else [], as_json=as_json)


@quotas.command("show")
@click.argument("account", type=AccountName(), required=False)
@as_json_option
def show_quotas(account: str | None, *, as_json: bool) -> None:
    """Show the quota of an account, or of all accounts, with the usage when they were last counted."""
    with opened_store() as opened:
        if account is None:
            found = store.list_quotas(opened.database)
        else:
            of_account = store.find_quota(opened.database, account)
            found = [of_account] if of_account else []
    _say_all(found, as_json=as_json)


@quotas.command("clear")
@account_argument
@as_json_option
def clear_quota(account: str, *, as_json: bool) -> None:
    """Remove every limit of an account."""
    with opened_store() as opened:
        store.clear_quota(opened.database, account, operator())
    say({"account": account}, f"Account {account} has no quota now.", as_json=as_json)


@quotas.command("count")
@as_json_option
def count(*, as_json: bool) -> None:
    """Count the usage of every account with a quota now. `ccs serve` does this regularly."""
    with opened_store() as opened:
        counted = count_all(opened.database, opened.settings.quota_interval)
    say({"counted": counted}, f"Counted: {', '.join(counted) or 'none'}.", as_json=as_json)


def _say_all(found: list[AccountQuota], *, as_json: bool) -> None:
    text = "\n".join(_line(each) for each in found) or "None."
    say({"quotas": [_as_dict(each) for each in found]}, text, as_json=as_json)


def _as_dict(found: AccountQuota) -> dict[str, object]:
    quota, counted_at = found.quota, found.counted_at
    return {
        "account": found.account,
        "limits": asdict(quota.limits) | {"requests": quota.requests},
        "used": asdict(quota.used) if counted_at else None,
        "counted_at": _utc(found),
    }


def _line(found: AccountQuota) -> str:
    limits, used = asdict(found.quota.limits), asdict(found.quota.used)
    parts = [
        f"{name} {'?' if used[name] is None else used[name]} of {limit}"
        for name, limit in limits.items()
        if limit is not None
    ]
    if found.quota.requests:
        parts.append(f"requests {found.quota.requests}")
    counted_at = _utc(found)
    return f"{found.account}: {', '.join(parts)}" + (
        f"; counted {counted_at}" if counted_at else ""
    )


def _utc(found: AccountQuota) -> str | None:
    """Formats the time of the last count: UTC, with milliseconds."""
    if found.counted_at is None:
        return None
    moment = found.counted_at.astimezone(UTC).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='milliseconds')}Z"
