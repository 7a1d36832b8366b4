"""Compares each operation of the extension with the plain one that it resembles, and three with those of peers."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks import bulk
from benchmarks.lab import Lab
from benchmarks.load import Load
from benchmarks.operations import v1
from benchmarks.parts.comparison import DATABASE, peers, sample_figures
from benchmarks.stacks.base import HttpStack, Stack
from benchmarks.stacks.service import ACCOUNT, NAMESPACE, Service

_CONNECTIONS = 16
_PEER_SECONDS = 3
"""The least time of load for a pair with a peer: some of Kinto's responses take a second."""


@dataclass(frozen=True)
class Pair:
    """Two operations that are measured one directly after the other; `base` is of the stack `against`."""

    operation: str
    base: str
    against: str = "service"


_PAIRS = (
    Pair("ext_304", "read_one"),
    Pair("ext_meta", "read_one"),
    Pair("ext_get_10", "read_one"),
    Pair("limited_read_one", "read_one"),
    Pair("ext_put_if_match", "put_1"),
    Pair("ext_put_ttl", "put_1"),
    Pair("ext_put_fenced", "put_1"),
    Pair("limited_put_1", "put_1"),
    Pair("ext_touch", "put_1"),
    Pair("ext_incr", "put_1"),
    Pair("ext_append", "put_1"),
    Pair("ext_merge", "put_1"),
    Pair("ext_lease", "put_1"),
    Pair("ext_set_10", "put_1"),
    Pair("ext_set_full", "patch_1"),
    Pair("ext_set_once", "ext_set_new"),
    Pair("ext_cas", "ext_cas", "kinto"),
    Pair("ext_set_10", "ext_set_10", "kinto"),
    Pair("ext_incr", "ext_incr", "webdis"),
)


def run(lab: Lab) -> dict[str, Any]:
    """Measures every pair in every round, in an order that changes from round to round."""
    instance = lab.instance(DATABASE)
    service = Service(instance, lab.scale.sessions)
    service.extend()
    limited = v1(ACCOUNT, NAMESPACE, instance.limited_headers(NAMESPACE))
    service.operations = {
        **service.operations,
        **{f"limited_{name}": limited[name] for name in ("read_one", "put_1")},
    }
    with lab.postgres.connect(DATABASE) as connection:
        bulk.load_extension(connection, NAMESPACE, service.sessions)
        bulk.settle(connection)
    with ExitStack() as cleanup:
        stacks: dict[str, Stack] = {service.name: service}
        for peer in peers(lab, cleanup, "extension", ("kinto", "webdis")):
            stacks[peer.name] = peer
        for stack in stacks.values():
            if isinstance(stack, HttpStack):
                stack.check()
        pairs = [
            pair for pair in _PAIRS if pair.against in stacks and pair.operation in lab.scale.pairs
        ]
        rounds: list[list[dict[str, Any]]] = [[] for _ in pairs]
        # The first round warms up caches, and gives the rows their indexes' entries; it is not counted.
        for round_ in range(lab.scale.rounds + 1):
            lab.postgres.checkpoint()
            for pair, its_rounds in zip(pairs, rounds, strict=True):
                least = 0 if pair.against == service.name else _PEER_SECONDS
                load = Load(_CONNECTIONS, max(least, lab.scale.seconds))
                turns = [
                    ("operation", service, pair.operation),
                    ("base", stacks[pair.against], pair.base),
                ]
                figures = {
                    which: sample_figures(lab.sample(stack, operation, load))
                    for which, stack, operation in turns[:: 1 if round_ % 2 else -1]
                }
                if round_:
                    its_rounds.append(figures)
            print(f"  round {round_} of {lab.scale.rounds}", flush=True)
        return {
            "stacks": {name: stack.title for name, stack in stacks.items()},
            "connections": _CONNECTIONS,
            "stalls": {name: stack.stalls for name, stack in stacks.items() if stack.stalls},
            "pairs": [
                {
                    "operation": pair.operation,
                    "base": pair.base,
                    "against": pair.against,
                    "rounds": its_rounds,
                }
                for pair, its_rounds in zip(pairs, rounds, strict=True)
            ],
        }
