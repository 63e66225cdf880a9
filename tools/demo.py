# SPDX-License-Identifier: MIT
"""Real models through the real commands, fused four ways and checked: `make demo`.

Runs what a user would type, in one process so that PyTorch is loaded once, and keeps every file.
The commands go to standard error as they start, the table of results to standard output. Not a
benchmark: the models are small, and nothing here measures host time.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from fuseflow.cli import ff_fuse, ff_import, ff_sim
from fuseflow.ir.report import SimulationReport
from fuseflow.wire import read_report

__all__ = ["MODELS", "Run", "main", "make_table", "run_models"]

# Names in the zoo: graph networks on the karate club, an autoencoder, a decoder block.
MODELS = ("gcn", "graphsage", "sae", "gpt")

_LEFT = ("model", "strategy", "check")
_COLUMNS = ("model", "strategy", "kernels", "cycles", "speed-up", "DRAM bytes", "error", "check")
# Where there is no terminal, every cell is written whole.
_PLAIN_WIDTH = 200
_LEGEND = """
speed-up    cycles of the unfused run over the cycles of this one
DRAM bytes  read and written
error       largest difference from PyTorch, relative to the largest output
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One model under one strategy; `report` is None where a command failed before it wrote one.

    `exit_code` is that of the first command that failed, or 0.
    """

    model: str
    strategy: str
    exit_code: int
    report: SimulationReport | None

    @property
    def verdict(self) -> str:
        """Return what became of the run, in one word."""
        if self.report is None:
            return "none"
        return "failed" if self.exit_code else "passed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 if every run passed its check, else 1."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; all")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR")
    args = parser.parse_args(arguments)
    unknown = [name for name in args.models if name not in MODELS]
    if unknown:
        parser.error(f"there is no model {unknown[0]} here; there are {', '.join(MODELS)}")
    args.out.mkdir(parents=True, exist_ok=True)
    runs = list(run_models(args.models or MODELS, args.out))
    width = None if sys.stdout.isatty() else _PLAIN_WIDTH
    console = Console(width=width, highlight=False)
    console.print(make_table(runs))
    console.print(_LEGEND)
    console.print(f"The artifacts are in {args.out}; ff-show FILE shows one.", soft_wrap=True)
    return 1 if any(run.exit_code for run in runs) else 0


def run_models(names: Sequence[str], folder: Path) -> Iterator[Run]:
    """Import each model once, then fuse and simulate it under every strategy.

    Files in `folder` are replaced; one that a failed command would have written is gone.
    """
    for name in names:
        graph = folder / f"{name}.einsum.pb"
        imported = _command(ff_import.main, "ff-import", f"zoo:{name}", "-o", graph)
        for strategy in ff_fuse.STRATEGIES:
            if imported:
                yield Run(name, strategy, imported, None)
            else:
                yield _fuse_and_simulate(name, graph, strategy)


def make_table(runs: Sequence[Run]) -> Table:
    """Return the results as a table, one row per run and a line after each model."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in _LEFT else "right", no_wrap=True)
    unfused = {
        run.model: run.report.totals.cycles
        for run in runs
        if run.strategy == "unfused" and run.report is not None
    }
    for number, run in enumerate(runs):
        last = number + 1 == len(runs) or runs[number + 1].model != run.model
        table.add_row(
            run.model,
            run.strategy,
            *_figures(run.report, unfused.get(run.model)),
            run.verdict,
            end_section=last,
        )
    return table


def _figures(report: SimulationReport | None, unfused: int | None) -> tuple[str, ...]:
    if report is None:
        return ("-",) * 5
    totals = report.totals
    return (
        f"{totals.kernels}",
        f"{totals.cycles:,}",
        f"{unfused / totals.cycles:.2f}x" if unfused and totals.cycles else "-",
        f"{totals.dram_read_bytes + totals.dram_write_bytes:,}",
        f"{report.check.max_rel_error:.1g}" if report.check.performed else "-",
    )


def _fuse_and_simulate(name: str, graph: Path, strategy: str) -> Run:
    program = graph.with_name(f"{name}.{strategy}.program.pb")
    report = graph.with_name(f"{name}.{strategy}.report.pb")
    code = _command(ff_fuse.main, "ff-fuse", "--strategy", strategy, graph, "-o", program)
    code = code or _command(ff_sim.main, "ff-sim", "--check", program, "-o", report)
    return Run(name, strategy, code, read_report(report) if report.exists() else None)


def _command(main: Callable[[list[str]], int], name: str, *words: str | Path) -> int:
    """Show a command, run it in this process and return its exit code.

    The file it is to write, its last word, is removed first: a failure must not leave an old one.
    """
    Path(words[-1]).unlink(missing_ok=True)
    arguments = [str(word) for word in words]
    print(f"$ {shlex.join([name, *arguments])}", file=sys.stderr, flush=True)
    return main(arguments)


if __name__ == "__main__":
    sys.exit(main())
