# SPDX-License-Identifier: MIT
"""`ff-fuse`: EinsumGraph -> DataflowProgram."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fuseflow.cli.common import Context, load, produce, run, write_text
from fuseflow.cli.fuse_options import STRATEGIES, add_fuse_options, read_fuse_options
from fuseflow.cli.parser import Parser
from fuseflow.cli.passes import PassWatch
from fuseflow.cli.search_options import write_candidates

if TYPE_CHECKING:
    from fuseflow.fusion import Fused

__all__ = ["STRATEGIES", "main", "make_parser"]

DESCRIPTION = """Compile an einsum graph into kernels of streaming dataflow primitives.

  ff-import zoo:gcn | ff-fuse --strategy full | ff-sim --check

Indices have the names that --explain prints. `outer` is the outermost index of every kernel,
`outer+1` the next one, and `OPERATION.INDEX` an index of one operation."""


def make_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser("ff-fuse", DESCRIPTION)
    parser.add_input("an EinsumGraph, from ff-import")
    parser.add_output("the DataflowProgram")
    add_fuse_options(parser)
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

    options = read_fuse_options(context)
    watch = PassWatch(args.print_after, args.stop_after)
    artifact = load(context, EinsumGraph)
    state = State(artifact.root, make_schedule(options), options=options.search)
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
    if context.args.candidates is not None and fused.state.search is not None:
        write_candidates(context.args.candidates, fused.state.search)
    for note in fused.program.notes:
        context.console.note(note)
    if context.args.explain:
        from fuseflow.fusion.explain.kernels import explain

        print("\n".join(explain(fused)), file=sys.stderr)
    if context.args.estimate:
        from fuseflow.fusion.cost.program import estimate_program
        from fuseflow.fusion.cost.text import describe_estimate

        found = estimate_program(fused.plans, fused.program.tensors, repeats=True)
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


if __name__ == "__main__":
    sys.exit(main())
