# SPDX-License-Identifier: MIT
"""Measure how long the fusion stage compiles: `python -m tools.bench_fuse [--repeat N]`.

Every model is imported once, with all its weights; what is timed is `fuse`, verification included,
as the median of N runs. The goal is 250 ms for a graph network and for one decoder block, and
time that grows with the number of blocks no faster than the program does. This is a measurement,
never a test.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence

from fuseflow.cli.sources import import_case
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS
from fuseflow.models import zoo

__all__ = ["MODELS", "main", "measure"]

MODELS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "gcn": ("gcn", {}),
    "graphsage": ("graphsage", {}),
    "sae": ("sae", {}),
    "gpt, 1 block": ("gpt", {}),
    "gpt, 12 blocks": ("gpt", {"layers": "12"}),
}


def measure(graph: EinsumGraph, strategy: Strategy, repeat: int) -> float:
    """Return the median time of compiling a graph, in seconds."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        fuse(graph, FuseOptions(strategy))
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement and return its exit code."""
    parser = argparse.ArgumentParser(prog="bench_fuse", description=__doc__.split("\n")[0])
    parser.add_argument("--repeat", type=int, default=5, help="runs per case (default 5)")
    args = parser.parse_args(arguments)
    print(f"fusion stage on {platform.machine()}, Python {platform.python_version()}:")
    print(f"median of {args.repeat} runs, milliseconds")
    print("\n".join(_rows(args.repeat)))
    return 0


def _rows(repeat: int) -> Iterator[str]:
    yield f"{'model':16} {'operations':>10} " + " ".join(f"{s:>8}" for s in PRESETS)
    for title, (name, settings) in MODELS.items():
        graph = _import(name, settings)
        times = (measure(graph, strategy, repeat) for strategy in PRESETS)
        figures = " ".join(f"{seconds * 1e3:8.1f}" for seconds in times)
        yield f"{title:16} {len(graph.einsums):10} {figures}"


def _import(name: str, settings: Mapping[str, str]) -> EinsumGraph:
    return import_case(zoo.build(name, settings))


if __name__ == "__main__":
    raise SystemExit(main())
