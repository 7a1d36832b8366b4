"""What `ccs distribute` says of databases that it cannot distribute. `benchmarks.citus` runs it on others."""

import pytest
from click.testing import CliRunner
from sqlalchemy import inspect

from ccs_server.cli import main
from ccs_server.store import schema
from ccs_server.store.distribution import DistributionError, find_steps
from ccs_server.store.tables import ACCOUNT_TABLES, REFERENCE_TABLES


def test_every_table_of_the_schema_is_distributed_or_on_every_node(empty_database_url: str) -> None:
    schema.migrate(empty_database_url)
    with schema.transaction(empty_database_url) as connection:
        tables = inspect(connection).get_table_names()
    assert sorted(tables) == sorted((*ACCOUNT_TABLES, *REFERENCE_TABLES))


def test_a_database_without_citus_is_refused_with_what_to_do(database_url: str) -> None:
    with pytest.raises(DistributionError, match="CREATE EXTENSION citus"):
        find_steps(database_url)


@pytest.mark.parametrize("option", [[], ["--dry-run"], ["--json"]])
def test_the_command_reports_the_error_in_one_sentence(
    database_url: str, option: list[str]
) -> None:
    run = CliRunner().invoke(main, ["distribute", *option], env={"CCS_DATABASE_URL": database_url})
    assert run.exit_code == 1
    assert run.stdout == ""
    assert run.stderr.startswith("Error: The database has no Citus: on every node, add citus")
    assert len(run.stderr.splitlines()) == 1


def test_the_number_of_shards_is_limited() -> None:
    run = CliRunner().invoke(main, ["distribute", "--shards", "0"])
    assert run.exit_code == 2
    assert "--shards" in run.stderr
