# SPDX-License-Identifier: MIT
"""`ff-fuse`: EinsumGraph -> DataflowProgram."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fuseflow.cli.common import Context, load, produce, run
from fuseflow.cli.parser import Parser
from fuseflow.errors import UsageError

if TYPE_CHECKING:
    from fuseflow.fusion import FuseOptions

__all__ = ["STRATEGIES", "main", "make_parser"]

STRATEGIES = ("unfused", "layer", "full")

DESCRIPTION = """Compile an einsum graph into kernels of streaming dataflow primitives.

  ff-import zoo:gcn | ff-fuse --strategy full | ff-sim --check"""


def make_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser("ff-fuse", DESCRIPTION)
    parser.add_input("an EinsumGraph, from ff-import")
    parser.add_output("the DataflowProgram")
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="unfused",
        help="one kernel per operator (the default), per module of the model, or for the whole "
        "model; what cannot be fused is split, and the split is reported",
    )
    parser.add_argument(
        "--order",
        default="",
        metavar="INDEX,...",
        help="nest these indices in this order, outermost first, in every kernel that has them",
    )
    parser.add_argument(
        "--recompute",
        type=float,
        metavar="FACTOR",
        help="how often a value may be computed, on average, before it is written to memory "
        "instead (default: what the strategy allows)",
    )
    parser.add_incidental(
        "--explain", action="store_true", help="print the decisions for every kernel"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(make_parser(), _execute, arguments)


def _execute(context: Context) -> int:
    from fuseflow.fusion import plan_graph
    from fuseflow.ir.einsum import EinsumGraph

    options = _options(context)
    artifact = load(context, EinsumGraph)
    fused = plan_graph(artifact.root, options)
    for note in fused.program.notes:
        context.console.note(note)
    if context.args.explain:
        from fuseflow.cli.explain import explain

        print("\n".join(explain(fused)), file=sys.stderr)
    produce(context, fused.program, artifact)
    return 0


def _options(context: Context) -> FuseOptions:
    from fuseflow.fusion import FuseOptions, Strategy

    args = context.args
    order = tuple(name.strip() for name in args.order.split(",")) if args.order else ()
    if "" in order:
        raise UsageError("U002 bad-option", f'--order "{args.order}" has an empty name')
    if args.recompute is not None and args.recompute < 1:
        raise UsageError("U002 bad-option", f"--recompute {args.recompute:g} is below 1")
    return FuseOptions(Strategy(args.strategy), order, args.recompute)
