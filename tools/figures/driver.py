# SPDX-License-Identifier: MIT
"""The command: says how long it will take, runs what is missing, stores rows, writes tables.

Rows go to OUT/rows, one file per finished case, whatever its size; a run that was stopped goes on
from there.
Tables and plots are made from the stored rows alone. Progress goes to standard error.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tools.figures.budget import choose, free_memory, predict, shortage
from tools.figures.cases import FIGURES, SIZES, Case, cases_of
from tools.figures.catalog import make_tables
from tools.figures.page import publish
from tools.figures.plots import draw_plots, is_available
from tools.figures.rows import Row, Status, load_rows, store_row
from tools.figures.runner import Runner, blank_row, is_current
from tools.figures.tables import to_csv, to_markdown

__all__ = ["main"]

# A case that ended so is tried again by the next run.
_UNFINISHED = (Status.SKIPPED, Status.SKIPPED_BUDGET, Status.TIMEOUT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; return 1 if a result is wrong, else 0."""
    args = _parse(arguments)
    files = dict(args.graph)
    every = cases_of(args.size, files, opt_in=args.opt_in)
    cases = [
        case
        for case in every
        if (not args.only or set(args.only) & set(case.figures)) and args.match in case.name
    ]
    folder: Path = args.out / args.size
    rows = _current(args.out / "rows", cases)
    done = [name for name, row in rows.items() if row.status not in _UNFINISHED]
    if args.fresh:
        done = []
    if not args.tables_only:
        todo = [case for case in cases if case.name not in done]
        _run(todo, len(done), Runner(files, args.limit), args.out / "rows", args.budget)
    rows = _current(args.out / "rows", every)
    found = list(rows.values())
    _write_tables(found, folder)
    if is_available():
        draw_plots(found, folder)
    else:
        _say("no plots: matplotlib is not installed (pip install 'fuseflow[figures]')")
    wrong = [row.case for row in found if row.status is Status.MISMATCH]
    print(f"{len(rows)} of {len(every)} cases have a row; tables are in {folder}")
    if args.publish:
        print(f"published as {publish(found, args.size)}")
    for name in wrong:
        print(f"wrong: {name}: {rows[name].reason}", file=sys.stderr)
    return 1 if wrong else 0


def _current(folder: Path, cases: Sequence[Case]) -> dict[str, Row]:
    """Return the rows of these very cases, in their order; older ones are as good as none."""
    rows = load_rows(folder, [case.name for case in cases])
    return {
        case.name: rows[case.name]
        for case in cases
        if case.name in rows and is_current(rows[case.name], case)
    }


def _write_tables(rows: Sequence[Row], folder: Path) -> None:
    """Write every table that has lines, as Markdown and as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in make_tables(rows):
        (folder / f"{table.name}.md").write_text(to_markdown(table))
        (folder / f"{table.name}.csv").write_text(to_csv(table))


def _run(
    cases: Sequence[Case], done: int, runner: Runner, folder: Path, budget: float | None
) -> None:
    """Run cases and store a row after each; those beyond the budget get a row that says so."""
    if not cases:
        return
    seconds = predict(cases, runner)
    _say(f"{len(cases)} cases to run, {done} done before; about {sum(seconds):.0f} s")
    chosen = choose(cases, seconds, budget)
    started = time.perf_counter()
    for position, case in enumerate(cases, 1):
        reason = "" if case in chosen else f"the budget of {budget:g} s"
        reason = reason or shortage(case, free_memory())
        if reason:
            row = replace(blank_row(case), status=Status.SKIPPED_BUDGET, reason=reason)
        else:
            row = runner.run(case)
        store_row(folder, row)
        spent = time.perf_counter() - started
        quotient = "" if row.ratio is None else f", {row.cycles:,} cycles, floor x {row.ratio:.3f}"
        _say(f"[{position}/{len(cases)} {spent:5.0f} s] {case.name}: {row.status}{quotient}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="figures", description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="smoke")
    parser.add_argument("--out", type=Path, default=Path("out/figures"), metavar="DIR")
    parser.add_argument(
        "--only", type=_figures, default=(), metavar="FIGURES", help=f"of {', '.join(FIGURES)}"
    )
    parser.add_argument(
        "--match", default="", metavar="TEXT", help="run only cases with this in their name"
    )
    parser.add_argument(
        "--graph",
        type=_named_file,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="archive of a real graph, such as cora=cora.npz; otherwise a stand-in is drawn",
    )
    parser.add_argument(
        "--budget", type=float, metavar="SECONDS", help="leave out what does not fit, and say so"
    )
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="stop a case after that")
    parser.add_argument(
        "--opt-in", action="store_true", help="with what takes hours: MAG fully fused at full size"
    )
    parser.add_argument("--fresh", action="store_true", help="run again what has a row already")
    parser.add_argument("--tables-only", action="store_true", help="only write the tables again")
    parser.add_argument(
        "--publish", action="store_true", help="keep the rows in docs, and write the page anew"
    )
    return parser.parse_args(arguments)


def _figures(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(FIGURES)}")
    return names


def _named_file(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not of the form NAME=FILE")
    if not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {path}")
    return name, Path(path)
