"""The size of an installation: what grows with what, and that its figures are those that were measured."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from ccs_server.domain import sizing
from ccs_server.domain.sizing import FIGURES, GB, Load, Machine, Size, size

DOCS = Path(__file__).parents[2] / "docs"
LOAD = Load(properties=1e9, saves=20_000, reads=100_000)
USUAL = Machine()
ENORMOUS = Machine(cores=1e6, memory=1e9 * GB, disk=1e9 * GB)


def sized(load: Load, machine: Machine = USUAL, standbys: int = 2) -> Size:
    return size(load, machine, standbys)


def test_the_store_grows_with_the_properties_and_with_what_they_hold() -> None:
    one, ten = sized(LOAD), sized(replace(LOAD, properties=1e10))
    assert (ten.table, ten.indexes) == pytest.approx((10 * one.table, 10 * one.indexes))
    larger = sized(replace(LOAD, value_bytes=1_026))
    assert larger.indexes == one.indexes
    assert larger.table - one.table > 1_000 * LOAD.properties


def test_cores_grow_with_the_requests_and_not_with_the_store() -> None:
    one = sized(LOAD)
    twice = sized(replace(LOAD, saves=2 * LOAD.saves, reads=2 * LOAD.reads))
    assert twice.database_cores == pytest.approx(2 * one.database_cores)
    assert twice.service_cores == pytest.approx(2 * one.service_cores)
    assert sized(replace(LOAD, properties=1e6)).database_cores == one.database_cores


def test_saves_spread_over_more_pages_write_more_wal_up_to_an_image_for_each() -> None:
    rates = [sized(replace(LOAD, properties=10.0**power)).wal_a_second for power in range(4, 14)]
    assert rates == sorted(rates)
    least = LOAD.saves * sizing.WAL_BYTES.value
    most = least + LOAD.saves * sizing.IMAGE_BYTES.value
    assert rates[0] == pytest.approx(least, rel=0.01)
    assert rates[-1] == pytest.approx(most, rel=0.01)


def test_without_saves_there_is_no_wal() -> None:
    idle = sized(replace(LOAD, saves=0))
    assert (idle.wal_a_day, idle.limits["transaction ids"]) == (0, 0)
    assert idle.max_wal_size == 2 * GB


@pytest.mark.parametrize(
    ("machine", "scarcest"),
    [
        (replace(ENORMOUS, cores=1), "cores"),
        (replace(ENORMOUS, memory=8 * GB), "memory"),
        (replace(ENORMOUS, disk=20 * GB), "disk"),
        (ENORMOUS, "transaction ids"),
    ],
)
def test_the_resource_that_ends_first_decides_how_many_shards(
    machine: Machine, scarcest: str
) -> None:
    load = replace(LOAD, properties=1e11)
    found = sized(load, machine)
    assert found.scarcest == scarcest
    assert found.shards == pytest.approx(found.share, abs=1)
    assert found.shards > 1
    # A shard with its part of the load fits on the machine.
    part = replace(
        load,
        properties=load.properties / found.shards,
        saves=load.saves / found.shards,
        reads=load.reads / found.shards,
    )
    assert sized(part, machine).share == pytest.approx(found.share / found.shards, rel=0.01)


def test_the_service_runs_on_two_machines_at_least_and_each_shard_has_its_standbys() -> None:
    small = sized(Load(properties=1, saves=1, reads=1))
    assert (small.instances, small.shards, small.machines) == (2, 1, 5)
    assert sized(Load(properties=1, saves=1, reads=1), standbys=0).machines == 3
    large = sized(LOAD, Machine(cores=4))
    assert large.machines == large.instances + 3 * large.shards


def test_the_speeds_are_those_of_the_recorded_benchmark() -> None:
    """A run elsewhere or on another day may differ by half; a figure that was not updated differs by more."""
    results = json.loads((DOCS / "benchmarks" / "results.json").read_text())
    comparison = results["parts"]["comparison"]["figures"]
    rounds = {
        sample["operation"]: sample["rounds"]
        for sample in comparison["samples"]
        if (sample["stack"], sample["connections"]) == ("service", 16)
    }
    for figure, operation, name in (
        (sizing.READ_SERVICE, "read_all", "cpu_stack_us"),
        (sizing.SAVE_SERVICE, "patch_1", "cpu_stack_us"),
        (sizing.READ_DATABASE, "read_all", "cpu_database_us"),
        (sizing.SAVE_DATABASE, "patch_1", "cpu_database_us"),
    ):
        measured = median(each[name] for each in rounds[operation])
        assert figure.value == pytest.approx(measured, rel=0.5), operation
    workers = comparison["memory"]["service"]["workers_bytes"]
    assert sizing.WORKER_BYTES.value == pytest.approx(max(workers), rel=0.5)


def test_the_page_lists_every_figure_with_its_source() -> None:
    page = (DOCS / "operate" / "sizing.md").read_text()
    for figure in FIGURES:
        source = f"`{figure.source}`, {figure.date}" if figure.date else figure.source
        value = f"{figure.value:,.12g} {figure.unit}".strip()
        assert f"| {value} | {figure.meaning} | {source} |" in page
