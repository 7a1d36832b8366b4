"""`ccs audit`: prints the audit log of credentials and namespaces."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

import click

from ccs_server.cli.common import AccountName, as_json_option, opened_store
from ccs_server.domain.times import utc
from ccs_server.store.audit import AuditLine, read_audit


class Moment(click.ParamType[datetime]):
    """The type of an option that is a date or a time in ISO 8601; without an offset it is UTC."""

    name = "time"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parses the value; the command fails if it is not valid."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            example = "2026-01-31 or 2026-01-31T12:00:00Z"
            self.fail(f"It must be a date or a time such as {example}, not {value!r}.", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.argument("account", type=AccountName(), required=False)
@click.option("--since", type=Moment(), help="Skip older lines; for example 2026-01-31T12:00:00Z.")
@as_json_option
def audit(account: str | None, since: datetime | None, *, as_json: bool) -> None:
    """List who created, first used, rotated or revoked which credential, and who deleted which namespace.

    The lines are those of ACCOUNT or, without it, of all accounts and the installation; oldest first.
    """
    with opened_store() as opened:
        lines = read_audit(opened.database, account, since)
        if not as_json:
            for line in lines:
                click.echo(_as_text(line))
            return
        # Print line by line, since all lines together may not fit into memory.
        parts = (
            json.dumps(asdict(line) | {"recorded_at": utc(line.recorded_at)}) for line in lines
        )
        click.echo('{"lines": [' + next(parts, ""), nl=False)
        for part in parts:
            click.echo(f", {part}", nl=False)
        click.echo("]}")


def _as_text(line: AuditLine) -> str:
    columns = [utc(line.recorded_at), line.account or "-", line.action, line.subject]
    details = [f"{name}={value}" for name, value in (line.details or {}).items()]
    return "  ".join([*columns, f"by {line.actor}", *details])
