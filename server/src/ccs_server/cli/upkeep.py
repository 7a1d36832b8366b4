"""`ccs migrate`, `ccs purge`, `ccs signing-keys` and `ccs openapi`."""

from dataclasses import replace

import click

from ccs_server.cli.common import as_json_option, opened_store, operator, say
from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.purge import purge as run_purge
from ccs_server.store.signing_keys import encrypt_signing_keys, rotate_signing_keys
from ccs_server.store.webhooks import encrypt_webhook_secrets


@click.command()
@as_json_option
def migrate(*, as_json: bool) -> None:
    """Migrate the database's schema to this version. It is safe to run this at any time, and concurrently."""
    with opened_store() as opened:
        schema.migrate(opened.url)
        schema.check(opened.database)
    say({"schema": schema.CURRENT}, f"The schema is at {schema.CURRENT}.", as_json=as_json)


@click.command()
@as_json_option
def purge(*, as_json: bool) -> None:
    """Delete expired properties and the data of deleted namespaces now. `ccs serve` does this regularly."""
    with opened_store() as opened:
        purged = run_purge(opened.database)._asdict()
    text = f"Deleted {', '.join(f'{count} {name}' for name, count in purged.items())}."
    say(purged, text, as_json=as_json)


@click.group("signing-keys")
def signing_keys() -> None:
    """Manage the keys that sign the tokens of v2."""


@signing_keys.command("rotate")
@as_json_option
def rotate(*, as_json: bool) -> None:
    """Create a key that signs from now on. Tokens signed by older keys stay valid until they expire."""
    with opened_store() as opened:
        key_id = rotate_signing_keys(opened.database, operator())
    say({"key_id": key_id}, f"Tokens are now signed by key {key_id}.", as_json=as_json)


@signing_keys.command("encrypt")
@as_json_option
def encrypt(*, as_json: bool) -> None:
    """Encrypt every signing key, and the secrets of webhooks, with the first key of CCS_SECRET_KEY.

    Those that are encrypted with another key are encrypted again.
    """
    with opened_store() as opened:
        encrypted = encrypt_signing_keys(opened.database, operator())
        webhooks = encrypt_webhook_secrets(opened.database)
    done = [*encrypted, *(f"webhook {id_}" for id_ in webhooks)]
    text = f"Encrypted: {', '.join(done) or 'none, all were encrypted already'}."
    say({"encrypted": encrypted, "webhooks": webhooks}, text, as_json=as_json)


@click.command()
@click.option("--json", is_flag=True, expose_value=False, help="The document is JSON either way.")
def openapi() -> None:
    """Print the OpenAPI document of the API."""
    from ccs_server.app import create_app  # noqa: PLC0415 - the other commands need no web framework

    # The document does not depend on the database, so none is used.
    settings = replace(Settings.from_environment(), database_url="postgresql://", access_log=False)
    with create_app(settings).test_client() as client:
        click.echo(client.get("/openapi.json").text)
