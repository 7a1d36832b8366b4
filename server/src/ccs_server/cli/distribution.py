"""`ccs distribute`: distributes the database over the nodes of a Citus cluster."""

import click

from ccs_server.cli.common import as_json_option, located_database, say
from ccs_server.store import distribution


@click.command()
@click.option("--dry-run", is_flag=True, help="Print the statements that are left; execute none.")
@click.option(
    "--shards",
    type=click.IntRange(1, 10_000),
    default=distribution.DEFAULT_SHARDS,
    show_default=True,
    help="The parts that accounts are divided into. No more nodes than this can share the work.",
)
@as_json_option
def distribute(*, dry_run: bool, shards: int, as_json: bool) -> None:
    """Distribute a migrated database over the workers of its Citus cluster, by account.

    It is safe to run this at any time: it does what is left to do. Connect to the coordinator.
    """
    with located_database() as url:
        steps = distribution.find_steps(url, shards)
        if not dry_run:
            distribution.execute(url, steps)
    statements = [step.sql for step in steps]
    if dry_run:
        text = "".join(f"{statement};\n" for statement in statements) or "Nothing is left to do."
    else:
        text = f"Executed {len(statements)} statements. The database is distributed."
    say({"executed": not dry_run, "statements": statements}, text.rstrip("\n"), as_json=as_json)
