"""`ccs keys` and `ccs credentials`: manages access to the service."""

from dataclasses import asdict

import click

from ccs_server.cli.common import account_argument, as_json_option, opened_store, operator, say, utc
from ccs_server.store import credentials as store
from ccs_server.store.credentials import Issued

_SHOWN_ONCE = "Save it now: it will not be shown again."


@click.group()
def keys() -> None:
    """Manage the keys of v1, which clients send in the header maven-api-key."""


@keys.command("create")
@account_argument
@as_json_option
def create_key(account: str, *, as_json: bool) -> None:
    """Create a key. The account's other keys stay valid."""
    with opened_store() as opened:
        made = store.create_key(opened.database, account, operator())
    text = f"Account {account}, key {made.key_id}:\n{made.key}\n{_SHOWN_ONCE}"
    say(asdict(made), text, as_json=as_json)


@keys.command("list")
@account_argument
@as_json_option
def list_keys(account: str, *, as_json: bool) -> None:
    """List the account's keys, including revoked ones, without their secrets."""
    with opened_store() as opened:
        issued = store.list_keys(opened.database, account)
    listed = [_listed(key, "key_id") for key in issued]
    say({"account": account, "keys": listed}, _table(issued), as_json=as_json)


@keys.command("revoke")
@account_argument
@click.option("--key-id", help="The key to revoke.")
@click.option("--all", "all_", is_flag=True, help="Revoke every key of the account.")
@as_json_option
def revoke_keys(account: str, key_id: str | None, *, all_: bool, as_json: bool) -> None:
    """Revoke one key or all. Within seconds, no instance accepts them."""
    _check_choice(key_id, "--key-id", all_=all_)
    with opened_store() as opened:
        if key_id:
            store.revoke_key(opened.database, account, key_id, operator())
            revoked = [key_id]
        else:
            revoked = store.revoke_all_keys(opened.database, account, operator())
    say({"account": account, "revoked": revoked}, _revoked(revoked), as_json=as_json)


@keys.command("regenerate")
@account_argument
@as_json_option
def keep_newest_key(account: str, *, as_json: bool) -> None:
    """Revoke every key of the account but the newest. This is the last step of replacing a key."""
    with opened_store() as opened:
        kept, revoked = store.keep_newest_key(opened.database, account, operator())
    text = f"Account {account}, valid key: {kept}. {_revoked(revoked)}"
    say({"account": account, "key_id": kept, "revoked": revoked}, text, as_json=as_json)


@click.group()
def credentials() -> None:
    """Manage the credentials of v2, which clients exchange for a token at /v2/authenticate/login."""


@credentials.command("create")
@account_argument
@as_json_option
def create_credential(account: str, *, as_json: bool) -> None:
    """Create a user name and a password. The account's other credentials stay valid."""
    with opened_store() as opened:
        made = store.create_credential(opened.database, account, operator())
    text = (
        f"Account {account}, user name {made.username}, password:\n{made.password}\n{_SHOWN_ONCE}"
    )
    say(asdict(made), text, as_json=as_json)


@credentials.command("list")
@account_argument
@as_json_option
def list_credentials(account: str, *, as_json: bool) -> None:
    """List the account's user names, including revoked ones, without their passwords."""
    with opened_store() as opened:
        issued = store.list_credentials(opened.database, account)
    listed = [_listed(credential, "username") for credential in issued]
    say({"account": account, "credentials": listed}, _table(issued), as_json=as_json)


@credentials.command("revoke")
@account_argument
@click.option("--username", help="The user name to revoke.")
@click.option("--all", "all_", is_flag=True, help="Revoke every credential of the account.")
@as_json_option
def revoke_credentials(account: str, username: str | None, *, all_: bool, as_json: bool) -> None:
    """Revoke one credential or all. Within seconds, no instance accepts them or their tokens."""
    _check_choice(username, "--username", all_=all_)
    with opened_store() as opened:
        if username:
            store.revoke_credential(opened.database, account, username, operator())
            revoked = [username]
        else:
            revoked = store.revoke_all_credentials(opened.database, account, operator())
    say({"account": account, "revoked": revoked}, _revoked(revoked), as_json=as_json)


def _check_choice(one: str | None, option: str, *, all_: bool) -> None:
    if bool(one) == all_:
        raise click.UsageError(f"Give either {option} or --all.")


def _listed(issued: Issued, name: str) -> dict[str, str | None]:
    revoked_at = utc(issued.revoked_at) if issued.revoked_at else None
    return {name: issued.name, "created_at": utc(issued.created_at), "revoked_at": revoked_at}


def _table(issued: list[Issued]) -> str:
    rows = [
        f"{each.name}  created {utc(each.created_at)}"
        + (f"  revoked {utc(each.revoked_at)}" if each.revoked_at else "")
        for each in issued
    ]
    return "\n".join(rows) or "None."


def _revoked(names: list[str]) -> str:
    return f"Revoked: {', '.join(names) or 'none'}."
