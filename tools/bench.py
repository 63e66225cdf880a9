# SPDX-License-Identifier: MIT
"""Measure the compiled simulator: tokens per second, bytes per token, memory that it takes.

  python -m tools.bench [--json FILE] [--against FILE] [--scale X] [--only TEXT] [--graph FILE]

Prints a table with the machine, the commit and the build flags; `--json` keeps it, `--against`
compares with a table that was kept. Every case runs in a process of its own; memory is what the run
adds to it at most. Rates are for the time of the simulating thread in the engine; the wall clock
also counts what is done before, between and after kernels. The last columns say how many times
longer the thread takes with a memory model than with ideal memory; `--only-ideal` leaves them out.
This is a measurement, never a test.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.hardware import MemoryConfig
from fuseflow.sim.engine import run_engine
from fuseflow.sim.machine import Machine
from fuseflow.sim.result import MachineResult
from tools.bench_machines import dense_product, elementwise, placed, sparse_product, spmm
from tools.bench_programs import programs, run_kernels

__all__ = ["Row", "cases", "main", "measure"]

ROOT = Path(__file__).resolve().parents[1]
CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Row:
    """One case: channel tokens, seconds of the thread, memory of the process, simulated cycles.

    `wall` is in seconds too: from the first machine to the last result. So are `hbm2` and
    `comal_hbm`, what the thread takes with these memory models; 0 if that was not measured.
    """

    name: str
    tokens: int
    seconds: float
    wall: float
    peak_bytes: int
    base_bytes: int
    cycles: int
    hbm2: float = 0.0
    comal_hbm: float = 0.0

    @property
    def rate(self) -> float:
        """Million channel tokens per second."""
        return self.tokens / self.seconds / 1e6

    @property
    def added_bytes(self) -> int:
        """Memory that the run added to the process at most."""
        return self.peak_bytes - self.base_bytes


Run = Callable[[Machine], MachineResult]
Case = Callable[[], Callable[[Run], object]]
"""Prepares something to be simulated and returns what simulates it with a given engine."""


def cases(scale: float, graph: str | None = None) -> dict[str, Case]:
    """Return the cases by name; `scale` multiplies their number of rows."""
    found: dict[str, Case] = {
        name: partial(_with, machine) for name, machine in _machines(scale).items()
    }
    for name, make in programs(scale, graph).items():
        found[name] = partial(_with_program, make)
    return found


def _with(make: Callable[[], Machine]) -> Callable[[Run], object]:
    machine = make()
    return lambda run: run(machine)


def _with_program(make: Callable[[], DataflowProgram]) -> Callable[[Run], object]:
    return partial(run_kernels, make())


def _machines(scale: float) -> dict[str, Callable[[], Machine]]:
    def rows(count: float) -> int:
        return max(2, int(count * scale))

    found: dict[str, Callable[[], Machine]] = {}
    for length in (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024):
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


class _Meter:
    """Runs machines on the engine and adds up what that takes."""

    def __init__(self, memory: str = "ideal") -> None:
        self.memory = MemoryConfig(memory)
        self.tokens = self.cycles = 0
        self.seconds = 0.0
        self.complete = True

    def __call__(self, machine: Machine) -> MachineResult:
        machine = replace(placed(machine), memory=self.memory)
        start = time.thread_time()
        result = run_engine(machine)
        self.seconds += time.thread_time() - start
        self.tokens += sum(c.values + c.missing + c.stops for c in result.channels)
        self.cycles += result.elapsed
        self.complete = self.complete and result.complete
        return result


def measure(name: str, case: Case, *, memories: bool = False) -> Row:
    """Run one case in this process; `memories`: with the other memory models, too."""
    simulate = case()
    meter = _Meter()
    _forget_peak()
    base = _peak()
    start = time.perf_counter()
    simulate(meter)
    wall = time.perf_counter() - start
    if not meter.complete:
        raise RuntimeError(f"case {name} did not end")
    row = Row(name, meter.tokens, meter.seconds, wall, _peak(), base, meter.cycles)
    if not memories:
        return row
    return replace(row, hbm2=_seconds(simulate, "hbm2"), comal_hbm=_seconds(simulate, "comal-hbm"))


def _seconds(simulate: Callable[[Run], object], memory: str) -> float:
    """Return what the thread takes with a memory model; 0 where that does not end.

    The queue server sends whole vectors, which channels of two tokens cannot take.
    """
    meter = _Meter(memory)
    simulate(meter)
    return meter.seconds if meter.complete else 0.0


def _forget_peak() -> None:
    """Let the peak count from here, so that preparations do not show; where Linux can do that."""
    if CLEAR_REFS.exists():
        CLEAR_REFS.write_text("5")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _child(
    name: str,
    scale: float,
    graph: str | None,
    memories: bool,
    pipe: multiprocessing.connection.Connection,
) -> None:
    pipe.send(measure(name, cases(scale, graph)[name], memories=memories))


def _isolated(name: str, scale: float, graph: str | None, memories: bool) -> Row:
    """Measure a case in a fresh process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_child, args=(name, scale, graph, memories, there))
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


def _rates(kept: Path) -> dict[str, float]:
    """Return million channel tokens per second by case, which every version of the file has."""
    rows = json.loads(kept.read_text())["rows"]
    return {row["name"]: row["tokens"] / row["seconds"] / 1e6 for row in rows}


def _print_row(row: Row, earlier: Mapping[str, float]) -> None:
    text = (
        f"{row.name:44s} {row.tokens / 1e6:9.1f} {row.seconds:8.3f} {row.wall:8.3f} {row.rate:8.0f}"
        f" {row.added_bytes / row.tokens:9.2f} {row.added_bytes / 2**20:8.1f}"
    )
    for seconds in (row.hbm2, row.comal_hbm):
        text += f" {seconds / row.seconds:7.1f}x" if seconds else f" {'':8s}"
    if row.name in earlier:
        text += f" {row.rate / earlier[row.name]:8.2f}"
    print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, keep, compare."""
    parser = argparse.ArgumentParser(description="measure the compiled simulator")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with kept figures")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the size of the cases")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with this in their name")
    parser.add_argument("--graph", metavar="FILE", help="graph file for the graph network")
    parser.add_argument("--only-ideal", action="store_true", help="leave memory models out")
    options = parser.parse_args(arguments)
    earlier = _rates(options.against) if options.against else {}
    about = environment()
    for key, value in about.items():
        print(f"{key:10s} {value}")
    print(
        f"\n{'case':44s} {'Mtokens':>9s} {'s':>8s} {'wall s':>8s} {'M/s':>8s}"
        f" {'B/token':>9s} {'MB':>8s} {'hbm2':>8s} {'comal':>8s}"
    )
    rows = []
    for name in cases(options.scale, options.graph):
        if options.only in name:
            rows.append(_isolated(name, options.scale, options.graph, not options.only_ideal))
            _print_row(rows[-1], earlier)
    if options.json:
        figures = {"environment": about, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
