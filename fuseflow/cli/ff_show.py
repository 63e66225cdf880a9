# SPDX-License-Identifier: MIT
"""`ff-show`: any artifact, for people and scripts."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fuseflow.cli.common import Context, open_input, run, write_text
from fuseflow.cli.console import use_colour
from fuseflow.cli.parser import Parser
from fuseflow.errors import UsageError

if TYPE_CHECKING:
    from fuseflow.wire import Artifact, Root

__all__ = ["main", "make_parser"]

DESCRIPTION = """Show an einsum graph, a dataflow program or a simulation report.

  ff-import zoo:gcn | ff-fuse | ff-sim --check | ff-show --json"""


def make_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser("ff-show", DESCRIPTION)
    parser.add_input("an artifact of any kind")
    views = parser.add_output("the view", data=False)
    views.add_argument(
        "--dot",
        dest="view",
        action="store_const",
        const="dot",
        help="draw the graph as DOT text, for Graphviz",
    )
    views.add_argument(
        "--stats",
        dest="view",
        action="store_const",
        const="stats",
        help="list every figure of a report, with what it means",
    )
    views.add_argument(
        "--einsum",
        dest="view",
        action="store_const",
        const="einsum",
        help="print an einsum graph as text that ff-import reads, without its data",
    )
    views.add_argument(
        "--html",
        dest="view",
        action="store_const",
        const="html",
        help="write a page for a browser, with every node, that needs no other file",
    )
    parser.add_argument("--kernel", metavar="NAME", help="with --dot: draw only this kernel")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(make_parser(), _execute, arguments)


def _execute(context: Context) -> int:
    args = context.args
    text, remarks = _stored_view(context) if args.view in ("text", "json") else _drawn(context)
    for remark in remarks:
        context.console.note(remark)
    write_text(args.output, text)
    return 0


def _stored_view(context: Context) -> tuple[str, tuple[str, ...]]:
    from fuseflow.wire import view_source

    return view_source(open_input(context.args.input), context.args.view)


def _drawn(context: Context) -> tuple[str, tuple[str, ...]]:
    from fuseflow.wire import read_any_artifact

    artifact = read_any_artifact(open_input(context.args.input))
    if context.args.view == "stats":
        from fuseflow.report.figures import list_figures

        return list_figures(artifact.root), artifact.remarks
    if context.args.view == "dot":
        from fuseflow.report.dot import draw

        return draw(artifact.root, context.args.kernel), artifact.remarks
    if context.args.view == "einsum":
        return _einsums(artifact.root), artifact.remarks
    if context.args.view == "html":
        return _page(artifact), artifact.remarks
    from fuseflow.report.summary import headline, summarize
    from fuseflow.report.tables import render

    to_terminal = context.args.output == "-" and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if to_terminal else None
    colour = to_terminal and use_colour(sys.stdout)
    origin, *tables = summarize(artifact.root, artifact.provenance)
    origin = replace(origin, title=headline(artifact.root))
    return render([origin, *tables], width, colour=colour), artifact.remarks


def _page(artifact: Artifact[Any]) -> str:
    from fuseflow.report.html import write_page
    from fuseflow.report.summary import headline, summarize

    tables = summarize(artifact.root, artifact.provenance, whole=True)
    return write_page(headline(artifact.root), tables)


def _einsums(root: Root) -> str:
    from fuseflow.ir.einsum import EinsumGraph
    from fuseflow.ir.kernel_text import format_kernel

    if not isinstance(root, EinsumGraph):
        message = f"--einsum shows an EinsumGraph, this is a {type(root).__name__}"
        raise UsageError("U030 no-einsums", message, fix="show what ff-import wrote")
    return format_kernel(root)


if __name__ == "__main__":
    sys.exit(main())
