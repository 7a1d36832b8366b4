"""The targets of the benchmark, and whether a run reached them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.extension import BATCH, EXTENSION_TITLES, LIMITED_TITLES
from benchmarks.operations import TITLES
from benchmarks.report.figures import Comparison, pair_ratio

_CONNECTIONS = 16
_AGAINST_KINTO = {"read_all": 20, "read_one": 20, "patch_1": 14, "patch_10": 11, "put_1": 14}
_AGAINST_FLOOR = {
    "read_all": 0.45, "read_one": 0.45, "patch_1": 0.55, "patch_10": 0.65, "put_1": 0.55,
}  # fmt: skip
_V2_AGAINST_V1 = {"v2_create": "new_session", "v2_save": "patch_1", "v2_read": "read_all"}
_EXTENSION = {
    "ext_304": 0.95, "ext_meta": 0.8, "ext_get_10": 3, "limited_read_one": 0.95, "ext_put_if_match": 0.8,
    "ext_put_ttl": 0.8, "ext_put_fenced": 0.75, "limited_put_1": 0.95, "ext_touch": 1, "ext_incr": 0.8,
    "ext_append": 0.8, "ext_merge": 0.8, "ext_lease": 0.8, "ext_set_10": 2.5, "ext_set_full": 0.8,
    "ext_set_once": 0.7,
}  # fmt: skip
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Target:
    """One target: the required value and the measured value."""

    what: str
    wanted: float
    measured: float
    unit: str = ""
    at_least: bool = True

    @property
    def reached(self) -> bool:
        if self.at_least:
            return self.measured >= self.wanted
        return self.measured <= self.wanted

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        verdict = "reached" if self.reached else "NOT REACHED"
        return f"{self.what}: {self.measured:.3g}{self.unit} ({sign} {self.wanted:g}{self.unit}) {verdict}"


def targets(parts: Mapping[str, Any]) -> list[Target]:
    """Returns the targets for which the run has figures."""
    readers = {
        "comparison": _comparison,
        "latency": _latency,
        "growth": _growth,
        "huge": _growth,
        "sessions": _sessions,
        "find": _find,
        "flood": _flood,
        "extension": _extension,
        "tracing": _tracing,
        "transfer": _transfer,
        "streams": _streams,
        "deletion": _deletion,
        "purge": _purge,
        "erasure": _erasure,
        "index": _index,
        "limits": _limits,
        "startup": _startup,
    }
    return [target for part, figures in parts.items() for target in readers[part](figures)]


def _comparison(figures: Mapping[str, Any]) -> Iterator[Target]:
    comparison = Comparison(figures)

    def ratio(
        what: str, wanted: float, above: tuple[str, str], below: tuple[str, str]
    ) -> Iterator[Target]:
        spread = comparison.ratio(above, below, _CONNECTIONS)
        if spread is not None:
            yield Target(what, wanted, spread.median, "×")

    for peer, wanted in (("kinto", _AGAINST_KINTO), ("floor", _AGAINST_FLOOR)):
        for operation, least in wanted.items():
            what = f"{TITLES[operation]}, against {peer}"
            yield from ratio(what, least, (operation, "service"), (operation, peer))
    for operation in _AGAINST_FLOOR:
        what = f"{TITLES[operation]}, with a TTL against without"
        yield from ratio(what, 0.9, (operation, "service_ttl"), (operation, "service"))
    for operation, like in _V2_AGAINST_V1.items():
        what = f"{TITLES[operation]}, against v1: {TITLES[like]}"
        yield from ratio(what, 0.8, (operation, "service"), (like, "service"))
    workers = comparison.memory["service"]["workers_bytes"]
    yield Target("resident memory of a worker", 90, max(workers) / _MEGABYTE, " MB", at_least=False)


def _latency(figures: Mapping[str, Any]) -> Iterator[Target]:
    for point in figures["read_all"]["service"]["points"]:
        if point["fraction"] == 0.5:
            ratio = median(each["p99"] / each["p50"] for each in point["rounds"])
            yield Target("p99 by p50 of reads at half load", 5, ratio, "×", at_least=False)


def _growth(figures: Mapping[str, Any]) -> Iterator[Target]:
    number = figures["properties"]["large"]
    for operation in ("read_all", "patch_1"):
        rates = [
            [round_["per_second"] for round_ in figures[operation][size]]
            for size in ("large", "small")
        ]
        ratio = median(large / small for large, small in zip(*rates, strict=True))
        what = f"{TITLES[operation]}, {number:,} properties against 10,000"
        yield Target(what, 0.7, ratio, "×")


def _sessions(figures: Mapping[str, Any]) -> Iterator[Target]:
    # The tolerance is the variation between rounds.
    rounds = figures["rounds"]
    for listing, shape in (
        ("session-ids", "many"), ("session-ids", "wide"), ("session-properties", "many"),
    ):  # fmt: skip
        pairs = zip(rounds[f"{listing} {shape}"], rounds[f"{listing} few"], strict=True)
        ratio = median(this["per_second"] / few["per_second"] for this, few in pairs)
        size = {
            "many": f"{figures['sessions']['many']:,} sessions",
            "wide": "sessions of 1,000 properties",
        }[shape]
        yield Target(f"first page of {listing}: {size} against 1,000 of 1", 0.8, ratio, "×")


def _find(figures: Mapping[str, Any]) -> Iterator[Target]:
    for what, measured in figures["sessions_per_second"].items():
        yield Target(f"finding without an index: {what}", 30_000, measured, " sessions/s")


def _flood(figures: Mapping[str, Any]) -> Iterator[Target]:
    for connections, ratio in figures["ratios"].items():
        what = f"another account's p95 while {connections} connections list deep pages"
        yield Target(what, 3, ratio, "×", at_least=False)


def _extension(figures: Mapping[str, Any]) -> Iterator[Target]:
    titles = TITLES | EXTENSION_TITLES | LIMITED_TITLES
    for pair in figures["pairs"]:
        operation = pair["operation"]
        if pair["against"] == "service":
            # A batch counts as its operations.
            times = BATCH if operation.endswith("_10") else 1
            ratio = times * pair_ratio(pair["rounds"]).median
            what = f"{titles[operation]}, against: {titles[pair['base']]}"
            yield Target(what, _EXTENSION[operation], ratio, "×")


def _tracing(figures: Mapping[str, Any]) -> Iterator[Target]:
    for operation, rounds in figures["rounds"].items():

        def ratios(here: str, there: str, what: str, rounds: Any = rounds) -> Iterator[Target]:  # noqa: ANN401 - JSON
            speed, cpu = zip(
                *(
                    (
                        round_[here]["operations_per_second"]
                        / round_[there]["operations_per_second"],
                        _cpu(round_[there]) / _cpu(round_[here]),
                    )
                    for round_ in rounds
                ),
                strict=True,
            )
            yield Target(what, 0.9, median(speed), "×")
            yield Target(f"{what}, by CPU", 0.9, median(cpu), "×")

        title = TITLES[operation]
        for traced, what in figures["titles"].items():
            yield from ratios(traced, "none", f"{title}, {what} against none")
            everything = f"{title}, {what}, metrics and logs against none of them"
            yield from ratios(traced, "unobserved", everything)


def _cpu(figures: Mapping[str, float]) -> float:
    return figures["cpu_stack_us"] + figures["cpu_database_us"]


def _transfer(figures: Mapping[str, Any]) -> Iterator[Target]:
    export, import_ = figures["export"], figures["import"]
    number = f"{export['properties']:,} properties"
    yield Target(f"export of {number}", 50_000, export["per_second"], " properties/s")
    ratio = import_["per_second"] / figures["patch_10_properties_per_second"]
    yield Target(f"import of {number}, against saving 10 by PATCH, one client", 5, ratio, "×")
    for what, measured in (("export", export), ("import", import_)):
        growth = measured["memory_late_bytes"] / measured["memory_early_bytes"]
        name = f"memory of a worker at the end of the {what}, against that after a tenth"
        yield Target(name, 1.1, growth, "×", at_least=False)


def _streams(figures: Mapping[str, Any]) -> Iterator[Target]:
    def ratio(rounds: Sequence[Any], above: str, below: str) -> float:
        name = "operations_per_second"
        return float(median(round_[above][name] / round_[below][name] for round_ in rounds))

    idle = f"with {figures['idle']:,} idle streams"
    reads = ratio(figures["reads"], "with", "without")
    yield Target(f"{TITLES['read_all']}, {idle} against none", 0.9, reads, "×")
    memory = figures["memory_bytes"]
    more = (memory["with"] - memory["without"]) / _MEGABYTE
    yield Target(f"memory that all workers take more {idle}", 60, more, " MB", at_least=False)
    saves = ratio(figures["saves"], "values", "off")
    yield Target(f"{TITLES['patch_1']}, with a log of values against none", 0.6, saves, "×")
    lag = figures["lag"]
    what = f"from a save to an event's client, {lag['per_second']:,.0f} events a second: p99"
    yield Target(what, 500, lag["p99_ms"], " ms", at_least=False)


def _disturbed(
    figures: Mapping[str, Any], what: str, wanted: Mapping[str, float]
) -> Iterator[Target]:
    for operation, most in wanted.items():
        ratio = figures[operation]["busy_p99"] / figures[operation]["quiet_p99"]
        yield Target(f"{what}: others' p99, {TITLES[operation]}", most, ratio, "×", at_least=False)


def _deletion(figures: Mapping[str, Any]) -> Iterator[Target]:
    what = f"deleting a namespace of {figures['rows']:,} properties"
    yield from _disturbed(figures, what, {"read_all": 3, "patch_1": 3})
    yield Target(f"{what}: the request", 1, figures["request_seconds"], " s", at_least=False)
    longest = figures["longest_transaction_seconds"]
    yield Target(f"{what}: the longest transaction", 2, longest, " s", at_least=False)


def _purge(figures: Mapping[str, Any]) -> Iterator[Target]:
    yield from _disturbed(figures, f"purging {figures['rows']:,} expired rows", {"read_all": 2})


def _erasure(figures: Mapping[str, Any]) -> Iterator[Target]:
    what = f"erasing from {figures['rows']:,} properties"
    yield Target(what, 20_000, figures["per_second"], " properties/s")
    yield from _disturbed(figures, what, {"read_all": 2, "patch_1": 2})


def _index(figures: Mapping[str, Any]) -> Iterator[Target]:
    pages = median(each["list"] / each["find"] for each in figures["pages"])
    what = f"a page that an index finds in {figures['sessions']:,} sessions, against session-properties: time"
    yield Target(what, 2, pages, "×", at_least=False)
    name = "operations_per_second"
    saves = median(each["with"][name] / each["without"][name] for each in figures["saves"])
    yield Target(f"{TITLES['patch_1']}, indexed against not", 0.7, saves, "×")


def _limits(figures: Mapping[str, Any]) -> Iterator[Target]:
    for what, times in figures.items():
        yield Target(f"{what}: p50", 250, times["p50"], " ms", at_least=False)


def _startup(figures: Mapping[str, Any]) -> Iterator[Target]:
    empty, existing = figures["empty_seconds"], figures["existing_seconds"]
    yield Target("ready on an existing store", 2, existing, " s", at_least=False)
    yield Target("ready on an empty store", 5, empty, " s", at_least=False)
