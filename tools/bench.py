# SPDX-License-Identifier: MIT
"""Measure the compiled simulator: tokens per second, bytes per token, peak memory.

  python -m tools.bench [--json FILE] [--against FILE] [--scale X] [--only TEXT]

Prints a table with the machine, the commit and the build flags; `--json` keeps it, `--against`
compares with a table that was kept. Every case runs in a process of its own, so that its peak
memory is its own. Time is that of the simulating thread; this is a measurement, never a test.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from fuseflow.sim.engine import run_engine
from fuseflow.sim.machine import Machine
from tools.bench_machines import dense_product, elementwise, sparse_product, spmm

__all__ = ["Row", "cases", "main", "measure"]

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Row:
    """One case: channel tokens, seconds of the thread, memory of the process, simulated cycles."""

    name: str
    tokens: int
    seconds: float
    peak_bytes: int
    base_bytes: int
    cycles: int

    @property
    def rate(self) -> float:
        """Million channel tokens per second."""
        return self.tokens / self.seconds / 1e6

    @property
    def bytes_per_token(self) -> float:
        """Memory that the run added to the process, per channel token."""
        return (self.peak_bytes - self.base_bytes) / self.tokens


Case = Callable[[], Machine]


def cases(scale: float) -> dict[str, Case]:
    """Return the cases by name; `scale` multiplies their number of rows."""

    def rows(count: float) -> int:
        return max(2, int(count * scale))

    found: dict[str, Case] = {}
    for length in (1, 2, 4, 8, 16, 32, 64, 256, 1024):
        count = rows(4e5 / (length + 1))
        found[f"spmm, fibers of {length}"] = partial(spmm, count, 1000, length, 8)
    for capacity in (2, 8, 64):
        bounded = partial(spmm, rows(2000), 1000, 8, 8, capacity=capacity)
        found[f"spmm, fibers of 8, capacity {capacity}"] = bounded
    for per_row in (1, 2, 16):
        for union in (False, True):
            name = f"two compressed, {per_row} per row, {'union' if union else 'intersect'}"
            found[name] = partial(elementwise, rows(4e5 / per_row), 1000, per_row, union=union)
    for per_row in (4, 16):
        name = f"sparse product, {per_row} per row"
        found[name] = partial(sparse_product, rows(4000), per_row, per_row)
    for size in (64, 256, 768):
        name = f"dense product, inner {size}"
        found[name] = partial(dense_product, rows(2e7 / size / size), size, size)
    return found


def measure(name: str, case: Case) -> Row:
    """Run one case in this process."""
    machine = case()
    base = _peak()
    start = time.thread_time()
    result = run_engine(machine)
    seconds = time.thread_time() - start
    tokens = sum(c.values + c.missing + c.stops for c in result.channels)
    if not result.complete:
        raise RuntimeError(f"case {name} did not end: {result.deadlock}")
    return Row(name, tokens, seconds, _peak(), base, result.elapsed)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _child(name: str, scale: float, pipe: multiprocessing.connection.Connection) -> None:
    pipe.send(measure(name, cases(scale)[name]))


def _isolated(name: str, scale: float) -> Row:
    """Measure a case in a fresh process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_child, args=(name, scale, there))
    child.start()
    there.close()
    try:
        row: Row = here.recv()
    except EOFError:
        raise SystemExit(f"bench: the process of case {name!r} died") from None
    child.join()
    return row


def environment() -> dict[str, str]:
    """Return what the figures depend on: processor, system, commit, build flags."""
    record = ROOT / "build/directives.json"
    flags = json.loads(record.read_text())[1] if record.exists() else ["unknown"]
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "commit": _commit(),
        "flags": " ".join(flags),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0]}, {len(models)} cores" if models else platform.processor() or "unknown"


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _print_row(row: Row, earlier: dict[str, Row]) -> None:
    text = (
        f"{row.name:44s} {row.tokens / 1e6:9.1f} {row.seconds:8.3f} {row.rate:8.0f}"
        f" {row.bytes_per_token:9.2f} {row.peak_bytes / 2**20:8.0f}"
    )
    if row.name in earlier:
        text += f" {row.rate / earlier[row.name].rate:8.2f}"
    print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, keep, compare."""
    parser = argparse.ArgumentParser(description="measure the compiled simulator")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with kept figures")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the size of the cases")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with this in their name")
    options = parser.parse_args(arguments)
    earlier: dict[str, Row] = {}
    if options.against:
        kept = json.loads(options.against.read_text())
        earlier = {row["name"]: Row(**row) for row in kept["rows"]}
    about = environment()
    for key, value in about.items():
        print(f"{key:10s} {value}")
    print(f"\n{'case':44s} {'Mtokens':>9s} {'s':>8s} {'M/s':>8s} {'B/token':>9s} {'peak MB':>8s}")
    rows = []
    for name in cases(options.scale):
        if options.only in name:
            rows.append(_isolated(name, options.scale))
            _print_row(rows[-1], earlier)
    if options.json:
        figures = {"environment": about, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
