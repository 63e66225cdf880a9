# SPDX-License-Identifier: MIT
"""`ff-sim`: DataflowProgram -> SimulationReport."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuseflow.cli.common import Context, load, produce, run
from fuseflow.cli.memory_option import with_memory_option
from fuseflow.cli.parser import Parser, at_least_one, mebibytes
from fuseflow.cli.watching import (
    INTERRUPTED,
    MEMORY,
    TERMINATED,
    Progress,
    catch_termination,
    open_trace,
    processors,
)
from fuseflow.errors import (
    CheckFailedError,
    DeadlockError,
    Finding,
    FuseflowError,
    LimitError,
    Location,
)

if TYPE_CHECKING:
    from fuseflow.ir.hardware import HardwareConfig
    from fuseflow.ir.report import Deadlock, SimulationReport
    from fuseflow.wire import Artifact

__all__ = ["ACCUMULATORS", "ENGINES", "MEMORIES", "PROFILES", "main", "make_parser"]

ENGINES = ("engine", "twin")
PROFILES = ("comal", "native")
MEMORIES = ("ideal", "comal-hbm", "hbm2")
ACCUMULATORS = ("f32", "f64")
AUTO = "auto"

DESCRIPTION = """Simulate a dataflow program, cycle by cycle, and report what it took.

  ff-import zoo:gcn | ff-fuse --strategy layer | ff-sim --check | ff-show

A run whose outputs fail the check, or that stops early, is reported too; the exit code tells."""


def make_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser("ff-sim", DESCRIPTION)
    parser.add_input("a DataflowProgram, from ff-fuse")
    parser.add_output("the SimulationReport")
    _add_machine_options(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare the outputs with those of the framework, and fail if they differ",
    )
    for name, text in (
        ("rtol", "relative tolerance of the check (default 1e-4)"),
        ("atol", "tolerance relative to the largest magnitude of an output (default 1e-5)"),
    ):
        parser.add_argument(f"--{name}", type=float, metavar="NUMBER", help=text)
    _add_limits(parser)
    parser.add_argument(
        "--stats",
        action="store_true",
        help="report also how full each channel was, who waited for it, and its longest list: "
        "slower, and memory for every token",
    )
    _add_trace(parser)
    parser.add_argument(
        "--profile",
        action="store_true",
        help="add the time and memory of this run, which differ from run to run, to the report",
    )
    parser.add_incidental(
        "--threads",
        type=at_least_one,
        metavar="N",
        help="threads that may work at the same time (default: one per processor that this process "
        "may use); the report is the same for any number",
    )
    parser.add_incidental(
        "--engine",
        choices=ENGINES,
        default="engine",
        help="the compiled simulator (the default), or its slow twin in Python; both report the "
        "same",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(make_parser(), _execute, arguments)


def _add_machine_options(parser: Parser) -> None:
    parser.add_argument(
        "--hw", metavar="FILE", help="take the machine from a HardwareConfig in text format"
    )
    parser.add_argument(
        "--memory",
        metavar="MODEL[,NAME=VALUE..]",
        help=f"memory model: {', '.join(MEMORIES)} (a DRAM with channels, banks and rows), and "
        "its parameters, such as hbm2,channels=8,refresh=true,window.array=4",
    )
    parser.add_argument("--timing", choices=PROFILES, help="what primitives and channels cost")
    parser.add_argument(
        "--fifo-depth",
        type=_depth,
        metavar="TOKENS",
        help="capacity of the channels for which the program states none; auto: whole lists where "
        "paths meet again, so that nothing can deadlock",
    )
    parser.add_argument(
        "--accumulate",
        choices=ACCUMULATORS,
        help="precision in which reductions and accumulators add up (default f32); f64 tells "
        "rounding from wrong results",
    )


def _add_limits(parser: Parser) -> None:
    parser.add_argument(
        "--max-cycles", type=int, metavar="N", help="stop when the program has taken more cycles"
    )
    parser.add_incidental(
        "--max-memory",
        type=mebibytes,
        metavar="MIB",
        help="stop when this process has taken more memory",
    )


def _add_trace(parser: Parser) -> None:
    parser.add_incidental(
        "--trace",
        metavar="FILE",
        help="write what every node did when, for https://ui.perfetto.dev; compressed if the name "
        "ends in .gz",
    )
    parser.add_incidental(
        "--trace-window",
        type=_window,
        metavar="A:B",
        help="with --trace: only cycles A to B of the program",
    )
    parser.add_incidental(
        "--trace-limit",
        type=int,
        metavar="N",
        default=1_000_000,
        help="with --trace: stop tracing after so many events (default 1000000)",
    )


def _depth(text: str) -> int | str:
    return text if text == AUTO else int(text)


def _window(text: str) -> tuple[int, int | None]:
    """Read "A:B"; A or B may be missing."""
    first, colon, last = text.partition(":")
    window = (int(first or 0), int(last) if last else None)
    if not colon or window[0] < 0 or (window[1] is not None and window[1] <= window[0]):
        raise ValueError(text)
    return window


def _execute(context: Context) -> int:
    from fuseflow.ir.dataflow import DataflowProgram
    from fuseflow.sim import Watch, simulate

    args = context.args
    hardware = _hardware(context)
    artifact = load(context, DataflowProgram)
    given = {
        name: getattr(args, name) for name in ("rtol", "atol") if getattr(args, name) is not None
    }
    progress = Progress(context.console, len(artifact.root.kernels), args)
    start = time.perf_counter()
    threads = args.threads or processors()
    with open_trace(args) as observe, catch_termination() as terminated:
        report = simulate(
            artifact.root,
            hardware,
            engine=args.engine,
            check=args.check,
            max_cycles=args.max_cycles,
            watch=Watch(detail=args.stats, progress=progress, observe=observe),
            threads=threads,
            **given,
        )
    _deliver(context, report, artifact, time.perf_counter() - start, threads)
    if report.stopped == INTERRUPTED and terminated():
        context.console.failure("terminated")
        return TERMINATED
    if report.stopped == INTERRUPTED:
        raise KeyboardInterrupt
    failure = _failure(report, checked=args.check)
    if failure is not None:
        raise failure
    return 0


def _deliver(
    context: Context, report: SimulationReport, source: Artifact[Any], seconds: float, threads: int
) -> None:
    """Write the report, which a run that stopped early has too, and say what it holds."""
    from fuseflow.ir.report import SimulatorStats

    if context.args.profile:
        report.simulator = SimulatorStats(
            wall_seconds=seconds,
            tokens_per_second=report.totals.tokens / seconds,
            peak_rss_bytes=_peak_memory(),
            threads=threads,
        )
    produce(context, report, source)
    _say(context, report)


def _hardware(context: Context) -> HardwareConfig:
    """Return the machine: the defaults, then the file, then single options."""
    from fuseflow.ir.hardware import HardwareConfig
    from fuseflow.wire import read_hardware

    args = context.args
    config = HardwareConfig() if args.hw is None else read_hardware(Path(args.hw))
    timing, memory = config.timing, config.memory
    if args.timing is not None:
        timing = replace(timing, profile=args.timing)
    if args.fifo_depth == AUTO:
        timing = replace(timing, auto_capacity=True)
    elif args.fifo_depth is not None:
        timing = replace(timing, capacity=args.fifo_depth, auto_capacity=False)
    if args.memory is not None:
        memory = with_memory_option(memory, args.memory)
    accumulate = args.accumulate or config.accumulate
    return replace(config, timing=timing, memory=memory, accumulate=accumulate)


def _peak_memory() -> int:
    """Return the largest resident memory of this process in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _say(context: Context, report: SimulationReport) -> None:
    totals, check = report.totals, report.check
    context.console.detail(
        f"kernels {totals.kernels}, cycles {totals.cycles:,}, tokens {totals.tokens:,}"
    )
    if check.performed and check.passed:
        context.console.detail(f"check passed: largest relative error {check.max_rel_error:.3g}")


def _more_room(deadlock: Deadlock) -> str:
    """Say what would have helped."""
    if not deadlock.sufficient:
        return "give the channels more room: --fifo-depth"
    least = [f'{s.capacity} tokens in "{s.name}"' for s in deadlock.sufficient]
    most = max(s.capacity for s in deadlock.sufficient)
    return f"enough would be {', '.join(least)}: --fifo-depth {most}, or --fifo-depth auto"


def _failure(report: SimulationReport, *, checked: bool) -> FuseflowError | None:
    """Return what was wrong with the run, whose report is written already."""
    where = Location(graph=report.name)
    if report.deadlock is not None:
        found = report.deadlock
        lines = [f"{found.kind} deadlock in kernel {found.kernel}", *found.blocked]
        fix = _more_room(found) if found.kind == "capacity" else None
        return DeadlockError("S020 deadlock", "; ".join(lines), where=where, fix=fix)
    if not report.complete:
        message = f"stopped at {report.stopped} after {report.totals.cycles:,} cycles"
        fix = "raise --max-memory" if MEMORY in report.stopped else "raise --max-cycles"
        rule = "S024 memory-limit" if MEMORY in report.stopped else "S021 cycle-limit"
        return LimitError(rule, message, where=where, fix=fix)
    if not checked or report.check.passed:
        return None
    if not report.check.performed:
        message = "the program has no reference outputs to check against"
        fix = "import the model without --no-reference"
        return CheckFailedError("S022 no-reference", message, where=where, fix=fix)
    failures = [Finding("S023 wrong-result", line, where) for line in report.check.failures]
    return CheckFailedError.from_findings(failures)


if __name__ == "__main__":
    sys.exit(main())
