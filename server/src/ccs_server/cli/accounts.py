"""`ccs keys` and `ccs credentials`: manages access to the service."""

from dataclasses import asdict

import click

from ccs_server.cli.common import account_argument, as_json_option, opened_store, operator, say
from ccs_server.domain.access import Access, Scope
from ccs_server.domain.limits import MAX_KEY_NAMESPACES, MAX_OVERLAP_SECONDS, MAX_TTL_SECONDS
from ccs_server.domain.names import check_label, check_namespace_pattern
from ccs_server.domain.times import utc
from ccs_server.store import credentials as store
from ccs_server.store.credentials import ApiKey, Issued, IssuedKey, KeyTerms

_SHOWN_ONCE = "Save it now: it will not be shown again."


@click.group()
def keys() -> None:
    """Manage keys, which clients send in the header maven-api-key."""


@keys.command("create")
@account_argument
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    default=Scope.WRITE.value,
    show_default=True,
    help="What the key may do; 'admin' includes managing keys.",
)
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    help="A namespace that the key may use, or the beginning of some and a '*'; repeat it for several. Without, all.",
)
@click.option(
    "--expires-in",
    type=click.IntRange(1, MAX_TTL_SECONDS),
    help="Seconds until the key expires. Without, it never does.",
)
@click.option("--label", default="", help="What the key is for.")
@as_json_option
def create_key(  # noqa: PLR0913 - options
    account: str,
    scope: str,
    namespaces: tuple[str, ...],
    expires_in: int | None,
    label: str,
    *,
    as_json: bool,
) -> None:
    """Create a key. The account's other keys stay valid."""
    terms = KeyTerms(_access(Scope(scope), namespaces), expires_in, check_label(label))
    with opened_store() as opened:
        made = store.create_key(opened.database, account, operator(), terms)
    _say_key(made, as_json=as_json)


@keys.command("rotate")
@account_argument
@click.argument("key_id")
@click.option(
    "--overlap",
    type=click.IntRange(0, MAX_OVERLAP_SECONDS),
    required=True,
    help="Seconds that the old key stays valid.",
)
@as_json_option
def rotate_key(account: str, key_id: str, overlap: int, *, as_json: bool) -> None:
    """Replace a key by one with the same rights, label and expiry."""
    with opened_store() as opened:
        made = store.rotate_key(opened.database, account, key_id, overlap, operator())
    _say_key(made, as_json=as_json)


@keys.command("list")
@account_argument
@as_json_option
def list_keys(account: str, *, as_json: bool) -> None:
    """List the account's keys, including revoked ones, without their secrets."""
    with opened_store() as opened:
        issued = store.list_keys(opened.database, account)
    listed = [_listed(key, "key_id") | _terms(key) for key in issued]
    text = _table([_line(key) + _terms_text(key) for key in issued])
    say({"account": account, "keys": listed}, text, as_json=as_json)


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
    text = _table([_line(credential) for credential in issued])
    say({"account": account, "credentials": listed}, text, as_json=as_json)


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


def _access(scope: Scope, namespaces: tuple[str, ...]) -> Access:
    if scope is Scope.ADMIN and namespaces:
        raise click.UsageError("A key of the scope 'admin' takes no --namespace.")
    if len(namespaces) > MAX_KEY_NAMESPACES:
        raise click.UsageError(f"Give --namespace at most {MAX_KEY_NAMESPACES} times.")
    for namespace in namespaces:
        check_namespace_pattern(namespace, "namespace")
    return Access(scope, namespaces or None)


def _say_key(made: ApiKey, *, as_json: bool) -> None:
    text = f"Account {made.account}, key {made.key_id}:\n{made.key}\n{_SHOWN_ONCE}"
    said = {"account": made.account, "key_id": made.key_id, "key": made.key}
    say(said, text, as_json=as_json)


def _listed(issued: Issued, name: str) -> dict[str, object]:
    revoked_at = utc(issued.revoked_at) if issued.revoked_at else None
    return {name: issued.name, "created_at": utc(issued.created_at), "revoked_at": revoked_at}


def _terms(key: IssuedKey) -> dict[str, object]:
    return {
        "scope": key.access.scope,
        "namespaces": key.access.namespaces,
        "expires_at": utc(key.expires_at) if key.expires_at else None,
        "label": key.label,
    }


def _line(issued: Issued) -> str:
    revoked = f"  revoked {utc(issued.revoked_at)}" if issued.revoked_at else ""
    return f"{issued.name}  created {utc(issued.created_at)}{revoked}"


def _terms_text(key: IssuedKey) -> str:
    namespaces = key.access.namespaces
    return (
        f"  {key.access.scope}"
        + (f" of {', '.join(namespaces)}" if namespaces else "")
        + (f"  expires {utc(key.expires_at)}" if key.expires_at else "")
        + (f"  {key.label}" if key.label else "")
    )


def _table(rows: list[str]) -> str:
    return "\n".join(rows) or "None."


def _revoked(names: list[str]) -> str:
    return f"Revoked: {', '.join(names) or 'none'}."
