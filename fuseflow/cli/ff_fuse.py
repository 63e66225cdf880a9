# SPDX-License-Identifier: MIT
"""`ff-fuse`: EinsumGraph -> DataflowProgram."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fuseflow.cli.common import Context, load, open_input, produce, run, write_text
from fuseflow.cli.parser import Parser
from fuseflow.cli.passes import PassWatch
from fuseflow.errors import UsageError

if TYPE_CHECKING:
    from fuseflow.fusion import Fused, FuseOptions

__all__ = ["STRATEGIES", "main", "make_parser"]

STRATEGIES = ("unfused", "layer", "full", "auto")

DESCRIPTION = """Compile an einsum graph into kernels of streaming dataflow primitives.

  ff-import zoo:gcn | ff-fuse --strategy full | ff-sim --check

Indices have the names that --explain prints. `outer` is the outermost index of every kernel,
`outer+1` the next one, and `OPERATION.INDEX` an index of one operation."""


def make_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser("ff-fuse", DESCRIPTION)
    parser.add_input("an EinsumGraph, from ff-import")
    parser.add_output("the DataflowProgram")
    _add_choices(parser)
    _add_accuracy(parser)
    _add_listings(parser)
    parser.add_incidental(
        "--explain", action="store_true", help="say in words what was decided for every kernel"
    )
    parser.add_incidental(
        "--estimate",
        action="store_true",
        help="print what every kernel is expected to do: cycles, operations, memory traffic",
    )
    parser.add_incidental(
        "--print-table", action="store_true", help="print the fusion table of every kernel"
    )
    parser.add_incidental(
        "--print-after",
        action="append",
        default=[],
        metavar="PASS",
        help="print what a pass left behind; may be repeated",
    )
    parser.add_incidental(
        "--time-passes", action="store_true", help="print how long each pass took"
    )
    return parser


def _add_choices(parser: Parser) -> None:
    """Add the options that decide the program."""
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        help="one kernel per operator (the default), per module of the model, or for the whole "
        "model; what cannot be fused is split, and the split is reported. auto: whatever is "
        "expected to take the fewest cycles",
    )
    parser.add_argument(
        "--schedule",
        metavar="FILE",
        help="what to fuse and how, see docs/schedules.md; other options win over it",
    )
    parser.add_argument(
        "--order",
        default="",
        metavar="INDEX,...",
        help="nest these indices in this order, outermost first, in every kernel that has them",
    )
    parser.add_argument(
        "--parallelize",
        default="",
        metavar="INDEX=N,...",
        help="deal these indices to N lanes each, in every kernel that has them",
    )
    parser.add_argument(
        "--block",
        default="",
        metavar="N or INDEX=N,...",
        help="split indices of the model into tiles of N elements, which travel as one token; N "
        "alone splits every index that is at least that long",
    )
    parser.add_argument(
        "--iteration",
        choices=("factored", "global"),
        help="give each operation loops of its own (the default), or all of a chain of products "
        "the same",
    )
    parser.add_argument(
        "--recompute",
        type=float,
        metavar="FACTOR",
        help="how often a value may be computed, on average, before it is written to memory "
        "instead (default: what the strategy allows)",
    )
    parser.add_argument(
        "--budget-seconds",
        type=float,
        metavar="S",
        help="with --strategy auto: stop after S seconds and take the best that was found until "
        "then, at least the best of the other strategies",
    )


def _add_accuracy(parser: Parser) -> None:
    """Add the options that decide what is taken for granted about numbers."""
    parser.add_argument(
        "--strict-nonfinite",
        action="store_true",
        help="let an absent operand annihilate a computed value only if that is proven to be "
        "finite, so that 0 times infinity is NaN as in PyTorch",
    )


def _add_listings(parser: Parser) -> None:
    """Add the options that print text in place of the program."""
    parser.add_listing(
        "--list-passes", action="store_true", help="print the passes in their order, and stop"
    )
    parser.add_listing(
        "--stop-after", metavar="PASS", help="print what a pass left behind, and stop"
    )
    parser.add_listing(
        "--print-schedule",
        action="store_true",
        help="print the schedule with every choice made explicit, and stop",
    )
    parser.add_listing(
        "--list-orders",
        action="store_true",
        help="count and list the loop orders of every kernel, and stop",
    )
    parser.add_incidental(
        "--limit", type=int, default=20, metavar="N", help="orders to list per kernel (default 20)"
    )
    parser.add_incidental(
        "--count", action="store_true", help="with --list-orders: count them without a list"
    )
    parser.add_incidental(
        "--views",
        choices=("shared", "per-use"),
        default="shared",
        help="with --list-orders: count as kernels are made (the default), or as if every use of "
        "a value were computed anew",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(make_parser(), _execute, arguments)


def _execute(context: Context) -> int:
    args = context.args
    if args.list_passes:
        from fuseflow.fusion.passes.sequence import PASSES

        _print(context, (f"{each.name:15} {each.about}" for each in PASSES))
        return 0
    from fuseflow.fusion.passes.sequence import State, run_passes
    from fuseflow.fusion.pipeline import Fused, make_schedule
    from fuseflow.ir.einsum import EinsumGraph

    options = _options(context)
    watch = PassWatch(args.print_after, args.stop_after)
    artifact = load(context, EinsumGraph)
    state = State(artifact.root, make_schedule(options))
    watch.start()
    run_passes(state, observe=watch)
    if args.time_passes:
        print("\n".join(watch.times()), file=sys.stderr)
    if args.stop_after:
        _print(context, watch.stopped_with)
        return 0
    assert state.program is not None
    fused = Fused(state.program, tuple(state.plans), state)
    if args.list_orders:
        _list_orders(context, fused)
        return 0
    _report(context, fused)
    if args.print_schedule:
        write_text(args.output, fused.program.schedule)
    else:
        produce(context, fused.program, artifact)
    return 0


def _report(context: Context, fused: Fused) -> None:
    """Print notes and whatever else was asked for to standard error."""
    for note in fused.program.notes:
        context.console.note(note)
    if context.args.explain:
        from fuseflow.fusion.explain.kernels import explain

        print("\n".join(explain(fused)), file=sys.stderr)
    if context.args.estimate:
        from fuseflow.fusion.cost.program import estimate_program
        from fuseflow.fusion.cost.text import describe_estimate

        found = estimate_program(fused.plans, fused.program.tensors)
        print("\n".join(describe_estimate(found)), file=sys.stderr)
    if context.args.print_table:
        from fuseflow.fusion.lowering.table import format_table, make_table

        for planned in fused.plans:
            lines = format_table(make_table(planned), f"table {planned.kernel.name}")
            print("\n".join(lines), file=sys.stderr)


def _list_orders(context: Context, fused: Fused) -> None:
    from fuseflow.fusion.orders.listing import describe_orders

    args = context.args
    limit = 0 if args.count or args.views == "per-use" else args.limit
    _print(context, describe_orders(fused.plans, limit, per_use=args.views == "per-use"))


def _print(context: Context, lines: Iterable[str]) -> None:
    write_text(context.args.output, "".join(f"{line}\n" for line in lines))


def _options(context: Context) -> FuseOptions:
    from fuseflow.fusion import FuseOptions
    from fuseflow.ir.schedule import Iteration, Strategy

    args = context.args
    if args.recompute is not None and not args.recompute >= 1:
        raise UsageError("U002 bad-option", f"--recompute {args.recompute:g} is below 1")
    if args.budget_seconds is not None and not args.budget_seconds >= 0:
        message = f"--budget-seconds {args.budget_seconds:g} is below 0"
        raise UsageError("U002 bad-option", message)
    if args.limit < 0:
        raise UsageError("U002 bad-option", f"--limit {args.limit} is below 0")
    schedule = None
    if args.schedule is not None:
        from fuseflow.wire import read_schedule

        path = open_input(args.schedule)
        if not isinstance(path, Path):
            raise UsageError("U002 bad-option", "--schedule names a file; - is the graph")
        schedule = read_schedule(path)
    return FuseOptions(
        strategy=Strategy(args.strategy) if args.strategy else None,
        order=tuple(_names("--order", args.order)),
        recompute=args.recompute,
        parallel=tuple(_sizes("--parallelize", args.parallelize)),
        block=tuple(_sizes("--block", args.block, everywhere="*")),
        iteration=Iteration(args.iteration) if args.iteration else None,
        strict_nonfinite=args.strict_nonfinite,
        schedule=schedule,
        seconds=args.budget_seconds,
    )


def _names(option: str, text: str) -> list[str]:
    """Split a comma-separated list without empty entries."""
    names = [name.strip() for name in text.split(",")] if text else []
    if "" in names:
        raise UsageError("U002 bad-option", f'{option} "{text}" has an empty name')
    return names


def _sizes(option: str, text: str, everywhere: str = "") -> list[tuple[str, int]]:
    """Read INDEX=N,INDEX=N; N alone is for the name `everywhere`, where that makes sense."""
    sizes: list[tuple[str, int]] = []
    for part in _names(option, text):
        name, equals, number = (piece.strip() for piece in part.rpartition("="))
        name = name if equals else everywhere
        if not name or not number.isascii() or not number.isdigit() or int(number) < 1:
            raise UsageError(
                "U002 bad-option",
                f'{option} "{part}" is not of the form INDEX=N',
                fix="N is a whole number of at least 1",
            )
        sizes.append((name, int(number)))
    return sizes
