"""`python -m benchmarks`: runs the parts, prints the targets, and writes JSON, Markdown and plots."""

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import against, lab, machine
from benchmarks.extension import EXTENSION_TITLES
from benchmarks.load import wrk
from benchmarks.operations import TITLES
from benchmarks.parts import PARTS
from benchmarks.report import markdown
from benchmarks.report.targets import targets
from benchmarks.scale import FULL, QUICK, SMOKE, Scale

_ROOT = Path(__file__).parents[1]
_OUT = {FULL.name: _ROOT / "docs" / "benchmarks"}
_OUT_OTHERWISE = _ROOT / "build" / "benchmarks"


def main() -> int:
    """Runs the benchmark. Returns exit code 0 if every response was correct, even if targets are missed."""
    arguments = _arguments()
    scale = _scale(arguments)
    # On SIGTERM, exit normally, so that the programs that were started are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if not wrk.is_installed() and scale.name != SMOKE.name:
        sys.exit(f"The benchmark needs wrk: {wrk.INSTALL}")
    if arguments.against:
        against.run(_plan(arguments), scale, arguments.out or _OUT_OTHERWISE)
        return 0
    out: Path = arguments.out or _OUT.get(scale.name, _OUT_OTHERWISE)
    out.mkdir(parents=True, exist_ok=True)
    file = out / "results.json"
    results = _results(file, kept=bool(arguments.only))
    _run(scale, results, file)
    if scale.name != SMOKE.name:
        _report(results, out)
    for stack, reason in results["missing"].items():
        print(f"MISSING {stack}: {reason}")
    print(f"Written: {out}")
    return 0


def _results(file: Path, *, kept: bool) -> dict[str, Any]:
    """Returns the results to add figures to: with `--only`, those of an earlier run on this machine."""
    here = machine.machine()
    if kept and file.exists():
        earlier: dict[str, Any] = json.loads(file.read_text())
        if earlier["machine"] == here:
            return earlier
    return {"machine": here, "missing": {}, "parts": {}}


def _run(scale: Scale, results: dict[str, Any], file: Path) -> None:
    """Runs the parts, and writes the figures after each, so that a failure loses only one part."""
    with lab.opened(scale) as opened:
        results["postgresql"] = opened.postgres.settings()
        results["versions"] = machine.versions()
        if not wrk.is_installed():
            opened.missing["wrk"] = f"replaced by a slow load generator in Python: {wrk.INSTALL}"
        for part in scale.parts:
            print(f"{part} …", flush=True)
            results["parts"][part] = {
                "scale": asdict(scale),
                "commit": machine.commit(),
                "system": machine.system(),
                "started": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
                "load_before": round(os.getloadavg()[0], 2),
                "figures": PARTS[part](opened),
            }
            results["missing"] |= opened.missing
            file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def _report(results: dict[str, Any], out: Path) -> None:
    from benchmarks.report import plots  # noqa: PLC0415 - the smoke run needs no matplotlib

    (out / "README.md").write_text(markdown.page(results))
    parts = {name: part["figures"] for name, part in results["parts"].items()}
    if "comparison" in parts:
        plots.ratios(parts["comparison"], out / "ratios.svg")
    if "latency" in parts:
        plots.latency(parts["latency"], out / "latency.svg")
    for target in targets(parts):
        print(target)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a run of less than 3 minutes")
    size.add_argument(
        "--smoke",
        action="store_true",
        help="a run of a few seconds, to check that everything works",
    )
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="only compare the working tree with this commit",
    )
    parser.add_argument(
        "--only",
        action="append",
        help="run only this part, or with --against this operation; may be repeated",
    )
    parser.add_argument("--rounds", type=int, help="number of rounds")
    parser.add_argument("--seconds", type=float, help="seconds of load for each measurement")
    parser.add_argument("--out", type=Path, help="output directory")
    arguments = parser.parse_args()
    choices = (TITLES | EXTENSION_TITLES) if arguments.against else PARTS
    for name in arguments.only or ():
        if name not in choices:
            parser.error(f"--only {name}: choose from {', '.join(choices)}")
    return arguments


def _plan(arguments: argparse.Namespace) -> against.Plan:
    short = arguments.quick or arguments.smoke
    return against.Plan(
        commit=arguments.against,
        operations=arguments.only or tuple(TITLES),
        rounds=arguments.rounds or (6 if short else 16),
        seconds=arguments.seconds or 0.5,
        connections=16,
    )


def _scale(arguments: argparse.Namespace) -> Scale:
    scale = SMOKE if arguments.smoke else QUICK if arguments.quick else FULL
    return replace(
        scale,
        parts=scale.parts if arguments.against else tuple(arguments.only or scale.parts),
        rounds=arguments.rounds or scale.rounds,
        seconds=arguments.seconds or scale.seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
