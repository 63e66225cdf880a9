# SPDX-License-Identifier: MIT
"""The options of `ff-fuse` that decide the program."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fuseflow.cli.common import Context, open_input
from fuseflow.cli.parser import Parser
from fuseflow.cli.search_options import (
    add_search_options,
    read_search_options,
    refuse_search_options,
)
from fuseflow.errors import UsageError

if TYPE_CHECKING:
    from fuseflow.fusion import FuseOptions

__all__ = ["STRATEGIES", "add_fuse_options", "read_fuse_options"]

STRATEGIES = ("unfused", "layer", "full", "auto")


def add_fuse_options(parser: Parser) -> None:
    """Add all options that decide the program."""
    _add_choices(parser)
    _add_budgets(parser)
    add_search_options(parser)
    _add_accuracy(parser)


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


def _add_budgets(parser: Parser) -> None:
    """Add the options that limit what the compiler may choose."""
    parser.add_argument(
        "--recompute",
        type=float,
        metavar="FACTOR",
        help="how often a value may be computed, on average, before it is written to memory "
        "instead (default: what the strategy allows)",
    )
    parser.add_argument(
        "--lanes-budget",
        type=int,
        metavar="N",
        help="deal indices of every kernel to up to N lanes, as is expected to take the fewest "
        "cycles; kernels with lanes of --parallelize stay as they are",
    )
    parser.add_argument(
        "--nodes-budget",
        type=int,
        metavar="N",
        help="no kernel may have more than N nodes, lanes included",
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


def read_fuse_options(context: Context) -> FuseOptions:
    """Return what the options say; UsageError if one cannot be."""
    from fuseflow.fusion import FuseOptions
    from fuseflow.fusion.pipeline import make_schedule
    from fuseflow.ir.schedule import Iteration, Strategy

    args = context.args
    _check_numbers(args)
    schedule = None
    if args.schedule is not None:
        from fuseflow.wire import read_schedule

        path = open_input(args.schedule)
        if not isinstance(path, Path):
            raise UsageError("U002 bad-option", "--schedule names a file; - is the graph")
        schedule = read_schedule(path)
    options = FuseOptions(
        strategy=Strategy(args.strategy) if args.strategy else None,
        order=tuple(_names("--order", args.order)),
        recompute=args.recompute,
        parallel=tuple(_sizes("--parallelize", args.parallelize)),
        block=tuple(_sizes("--block", args.block, everywhere="*")),
        iteration=Iteration(args.iteration) if args.iteration else None,
        strict_nonfinite=args.strict_nonfinite,
        schedule=schedule,
        seconds=args.budget_seconds,
        lanes=args.lanes_budget,
        nodes=args.nodes_budget,
        search=read_search_options(context),
    )
    if make_schedule(options).strategy is not Strategy.AUTO:
        refuse_search_options(args)
    return options


def _check_numbers(args: Namespace) -> None:
    least = {
        "recompute": 1,
        "lanes_budget": 1,
        "nodes_budget": 1,
        "budget_seconds": 0,
        "verify_top": 1,
        "limit": 0,
    }
    for name, bound in least.items():
        number = getattr(args, name)
        if number is not None and not number >= bound:
            option = f"--{name.replace('_', '-')}"
            raise UsageError("U002 bad-option", f"{option} {number:g} is below {bound}")


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
