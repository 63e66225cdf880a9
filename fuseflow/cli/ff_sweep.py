# SPDX-License-Identifier: MIT
"""`ff-sweep`: models under many options, compared."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fuseflow.cli.common import Context, run, write_text
from fuseflow.cli.console import use_colour
from fuseflow.cli.parser import Parser, at_least_one
from fuseflow.cli.sweep.progress import Progress
from fuseflow.cli.watching import note_signals, processors
from fuseflow.errors import UsageError

if TYPE_CHECKING:
    from fuseflow.cli.sweep.execute import Outcome
    from fuseflow.cli.sweep.results import Row
    from fuseflow.cli.sweep.steps import Step
    from fuseflow.cli.sweep.study import Case, Study

__all__ = ["main", "make_parser"]

DESCRIPTION = """Run models through the pipe under all combinations of options, and compare.

  ff-sweep zoo:gcn --fuse strategy unfused layer full --sim memory ideal hbm2

--fuse NAME VALUE... tries every VALUE of ff-fuse's option --NAME; - leaves it out, yes and no are
for options without a value. --import and --sim do the same for the other commands. A study in a
file has the same names:

  models: [zoo:gcn, my_models:gat]
  fuse: {strategy: [unfused, layer, full], parallelize: [null, outer=4]}
  sim: {memory: [ideal, hbm2], fifo-depth: auto}

Artifacts stay in the folder, and whatever is unchanged is not run again: a study that was stopped
goes on where it was, one that grows runs what is new."""

LEGEND = """speed-up    over the first case of the same model and import
DRAM bytes  read and written
error       largest difference from the framework, relative to the largest output
front       no case of the same model, import and machine has both fewer cycles and fewer bytes
"""


def make_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser("ff-sweep", DESCRIPTION, artifacts=False)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="as ff-import takes it")
    parser.add_argument("--study", metavar="FILE", help="a YAML file with models and options")
    for stage in ("import", "fuse", "sim"):
        parser.add_argument(
            f"--{stage}",
            action="append",
            nargs="+",
            default=[],
            metavar=("NAME", "VALUE"),
            help=f"values to try of an option of ff-{stage}; may be repeated",
        )
    parser.add_argument(
        "--no-check", action="store_true", help="do not compare outputs with the framework's"
    )
    parser.add_incidental(
        "-o",
        "--output",
        dest="folder",
        default="sweep",
        metavar="DIR",
        help="where artifacts and results are kept (default: sweep)",
    )
    parser.add_incidental(
        "--jobs",
        type=at_least_one,
        default=processors(),
        metavar="N",
        help="processes at a time (default: one per processor)",
    )
    parser.add_incidental(
        "--timeout",
        type=float,
        metavar="S",
        help="give up on a command that takes more than S seconds",
    )
    parser.add_listing(
        "--list", action="store_true", help="list the cases and their commands, and stop"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(make_parser(), _execute, arguments)


def _execute(context: Context) -> int:
    from fuseflow.cli.sweep.results import compare, make_row
    from fuseflow.cli.sweep.steps import make_steps, programs_digest

    study, folder, programs = _study(context.args), Path(context.args.folder), programs_digest()
    chains = [(case, make_steps(case, folder, programs)) for case in study.cases()]
    if context.args.list:
        write_text("-", "".join(f"{chain[-1].pipe}\n" for _, chain in chains))
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    errors, stopped = _run(context, chains)
    rows = compare(make_row(case, chain, errors.get(chain[-1])) for case, chain in chains)
    _show(context, study, rows, folder)
    if stopped:
        context.console.failure("stopped; the same command goes on from here")
        return stopped
    return 0 if all(row.good for row in rows) else 1


def _study(args: argparse.Namespace) -> Study:
    """Put together what is asked for: the file, then the command line, which wins."""
    from fuseflow.cli.sweep.study import STAGES, Study, make_axis, read_study

    models, axes = read_study(Path(args.study)) if args.study else ([], [])
    found = {(axis.stage, axis.option): axis for axis in axes}
    for stage in STAGES:
        for name, *values in getattr(args, stage):
            if not values:
                message = f"--{stage} {name} names no value to try"
                raise UsageError("U002 bad-option", message, fix="--fuse strategy layer full")
            found[stage, name] = make_axis(stage, name, values)
    if not args.no_check:
        found.setdefault(("sim", "check"), make_axis("sim", "check", [True]))
    models += args.models
    if not models:
        raise UsageError("U010 no-model", "no MODEL is named", fix="see ff-sweep --help")
    return Study(tuple(dict.fromkeys(models)), tuple(found.values()))


def _run(
    context: Context, chains: Sequence[tuple[Case, Sequence[Step]]]
) -> tuple[dict[Step, str], int]:
    """Run everything; return the errors by step, and the exit code of a run that was stopped."""
    from fuseflow.cli.sweep.execute import Workers

    args = context.args
    workers = Workers(args.jobs, max(1, processors() // args.jobs), args.timeout)
    steps = dict.fromkeys(step for _, chain in chains for step in chain)
    errors: dict[Step, str] = {}
    with Progress(context.console, len(steps)) as progress, note_signals() as came:

        def tell(outcome: Outcome) -> None:
            if outcome.error:
                errors[outcome.step] = outcome.error
            progress(outcome)

        workers.run(steps, tell, lambda: came() is not None)
        number = came()
    return errors, 0 if number is None else 128 + number


def _show(context: Context, study: Study, rows: Sequence[Row], folder: Path) -> None:
    """Print the table, and keep it as files."""
    from fuseflow.cli.sweep.results import make_table, write_rows
    from fuseflow.report.tables import render

    write_rows(rows, study.varying, folder)
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else None
    table = make_table(rows, study.varying)
    text = render([table], width, colour=terminal and use_colour(sys.stdout))
    bad = [f"{row.name}: {row.status}: {row.reason}" for row in rows if not row.good]
    write_text("-", "\n".join([text + LEGEND, *bad, *[""] * bool(bad)]))
    context.console.detail(f"results.csv, results.json and all artifacts are in {folder}")


if __name__ == "__main__":
    sys.exit(main())
