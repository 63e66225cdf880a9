# SPDX-License-Identifier: MIT
"""The options of `ff-fuse` about the search of strategy auto, and what it hands out."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuseflow.cli.common import Context, write_text
from fuseflow.cli.console import Console
from fuseflow.cli.parser import Parser
from fuseflow.cli.watching import processors
from fuseflow.errors import UsageError

if TYPE_CHECKING:
    from fuseflow.fusion.auto.options import Measure, Measured, SearchOptions
    from fuseflow.fusion.auto.search import Search
    from fuseflow.ir.dataflow import DataflowProgram
    from fuseflow.ir.hardware import HardwareConfig

__all__ = ["add_search_options", "read_search_options", "refuse_search_options", "write_candidates"]

OBJECTIVES = ("cycles", "bytes", "flops", "tokens")
FORMATS = (".csv", ".json")
TELL_SECONDS = 3.0


def add_search_options(parser: Parser) -> None:
    """Add what only strategy auto reads."""
    parser.add_argument(
        "--objective",
        choices=OBJECTIVES,
        help="with --strategy auto: what is to be small (default cycles)",
    )
    parser.add_argument(
        "--blocks",
        choices=("auto",),
        help="with --strategy auto: try also to split indices into the blocks that stored tensors "
        "consist of",
    )
    parser.add_argument(
        "--verify-top",
        type=int,
        metavar="K",
        help="with --strategy auto: simulate the K most promising programs and take the best",
    )
    parser.add_argument(
        "--hw",
        metavar="FILE",
        help="with --verify-top: simulate on this machine, a HardwareConfig in text format",
    )
    parser.add_incidental(
        "--candidates",
        metavar="FILE",
        help="with --strategy auto: write all that was compared to a .csv or .json file, with "
        "programs for every objective among them",
    )


def read_search_options(context: Context) -> SearchOptions:
    """Return what the options say; UsageError if one cannot be."""
    from fuseflow.fusion.auto.options import Objective, SearchOptions

    args = context.args
    if args.hw is not None and args.verify_top is None:
        raise UsageError(
            "U002 bad-option", "--hw is the machine of --verify-top, which is not given"
        )
    if args.candidates is not None and Path(args.candidates).suffix not in FORMATS:
        message = f"--candidates {args.candidates} ends in none of {', '.join(FORMATS)}"
        raise UsageError("U002 bad-option", message)
    speaks = not context.console.quiet and (sys.stderr.isatty() or args.verbose)
    return SearchOptions(
        objective=Objective(args.objective or "cycles"),
        blocks=args.blocks is not None,
        verify=args.verify_top or 0,
        measure=_measure(args) if args.verify_top else None,
        pareto=args.candidates is not None,
        progress=_Progress(context.console) if speaks else None,
    )


def refuse_search_options(args: Namespace) -> None:
    """Raise UsageError if there is an option for a search that does not take place."""
    for name in ("objective", "blocks", "verify_top", "candidates"):
        if getattr(args, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                "U002 bad-option", f"{option} is for a search", fix="add --strategy auto"
            )


def write_candidates(path: str, search: Search) -> None:
    """Write what a search compared, the best one first."""
    rows = list(_rows(search))
    if Path(path).suffix == ".json":
        write_text(path, json.dumps(rows, indent=2) + "\n")
        return
    text = io.StringIO()
    writer = csv.DictWriter(
        text, [name for name in rows[0] if name != "schedule"], extrasaction="ignore"
    )
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _rows(search: Search) -> Iterator[dict[str, Any]]:
    from fuseflow.fusion.auto.text import undominated
    from fuseflow.ir.schedule_text import format_schedule

    front = undominated(search)
    for number, each in enumerate(search.ranked):
        found = each.estimate
        yield {
            "label": each.label,
            "chosen": number == 0,
            "undominated": each in front,
            "kernels": len(found.kernels),
            "cycles": round(found.cycles),
            "flops": found.flops,
            "bytes": found.bytes,
            "tokens": found.tokens,
            "exact": found.is_exact,
            "simulated_cycles": None if each.measured is None else each.measured.cycles,
            "schedule": format_schedule(each.schedule),
        }


def _measure(args: Namespace) -> Measure:
    from fuseflow.fusion.auto.options import Measured
    from fuseflow.sim import simulate

    hardware = _hardware(args)

    def measure(program: DataflowProgram) -> Measured | None:
        report = simulate(program, hardware, threads=processors())
        if not report.complete:
            return None
        found = report.totals
        moved = found.dram_read_bytes + found.dram_write_bytes
        return Measured(found.cycles, found.flops, moved, found.tokens)

    return measure


def _hardware(args: Namespace) -> HardwareConfig | None:
    from fuseflow.wire import read_hardware

    return None if args.hw is None else read_hardware(Path(args.hw))


class _Progress:
    """Says now and then what a search is at."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = time.monotonic()

    def __call__(self, text: str) -> None:
        if time.monotonic() - self._told >= TELL_SECONDS:
            self._told = time.monotonic()
            self._console.note(f"search: {text}")
