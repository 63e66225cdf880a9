# SPDX-License-Identifier: MIT
"""`ff-import`: a model -> EinsumGraph."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fuseflow.cli.common import Context, produce, run, write_text
from fuseflow.cli.console import Console
from fuseflow.cli.import_options import add_import_options, pairs, read_options
from fuseflow.cli.isolate import Stage, run_isolated
from fuseflow.cli.parser import Parser
from fuseflow.cli.sources import list_zoo, load_model
from fuseflow.errors import Location, ModelError, UsageError

if TYPE_CHECKING:
    from fuseflow.frontend.options import ImportOptions
    from fuseflow.ir.einsum import EinsumGraph

__all__ = ["main", "make_parser"]

DESCRIPTION = """Turn a PyTorch or ONNX model into an einsum graph.

MODEL is one of
  zoo:NAME                 a model that comes with fuseflow; --list names them
  package.module:factory   a function that returns (nn.Module, example inputs)
  file.py:factory          the same, in a file
  model.onnx               an ONNX file
  model.pt2                a file of torch.export.save
  kernel.ein               einsums as text

  ff-import zoo:gcn --set hidden=32 | ff-fuse | ff-sim --check"""

_UNSUPPORTED = ("I001 unsupported-operator", "I002 unsupported-form", "I212 control-flow")
_SHOWN_TENSORS = 20


def make_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser("ff-import", DESCRIPTION)
    parser.add_argument("model", nargs="?", metavar="MODEL", help="where the model is, see above")
    parser.add_output("the EinsumGraph")
    add_import_options(parser)
    parser.add_incidental(
        "--allow-partial",
        metavar="OUT",
        help="if operators are not supported, write the graph of all that come before them to OUT, "
        "and still fail",
    )
    parser.add_incidental(
        "--list", action="store_true", help="list the models of the zoo with their settings"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(make_parser(), _execute, arguments)


def _execute(context: Context) -> int:
    args = context.args
    if args.list:
        write_text(args.output, "\n".join(list_zoo()) + "\n")
        return 0
    if args.model is None:
        raise UsageError("U010 no-model", "no MODEL is named", fix="see ff-import --help")
    settings, options = pairs("--set", args.set), read_options(args)
    try:
        graph = _load(args.model, settings, options)
    except ModelError as error:
        if args.allow_partial and all(each.rule in _UNSUPPORTED for each in error.findings):
            _store_part(context, _load(args.model, settings, replace(options, partial=True)))
        raise
    _report(context.console, graph)
    produce(context, graph)
    return 0


def _load(model: str, settings: Mapping[str, str], options: ImportOptions) -> EinsumGraph:
    """Import a model in a process of its own, which alone loads the framework."""

    def work(stage: Stage) -> EinsumGraph:
        from fuseflow.ir.verify_einsum import verify_einsum_graph

        # Whatever a user's code prints while its model is built must not mix with the artifact.
        with contextlib.redirect_stdout(sys.stderr):
            try:
                graph = load_model(model, settings, options, stage)
            except SystemExit as error:
                message = f"the code of the model ended the program, with {error.code!r}"
                raise ModelError("I024 crashed", message, where=Location(file=model)) from error
        verify_einsum_graph(graph)
        return graph

    return run_isolated(work, model, preload=("fuseflow.ir.einsum", "fuseflow.wire"))


def _store_part(context: Context, graph: EinsumGraph) -> None:
    """Write the part of a model that could be imported, where the user wants it."""
    place = context.args.allow_partial
    args = argparse.Namespace(**{**vars(context.args), "output": place, "view": None})
    produce(Context(context.parser, args, context.console), graph)
    outputs = ", ".join(output.name for output in graph.outputs)
    context.console.note(f"the part before unsupported operators is in {place}: {outputs}")


def _report(console: Console, graph: EinsumGraph) -> None:
    """Say how tensors are stored and what else the importer remarks; dense ones only with -v."""
    remarks = []
    for note in graph.notes:
        value = graph.values.get(note.partition(": ")[0])
        if value is None or value.format is None or value.origin != "dense" or ", blocks " in note:
            remarks.append(note)
        else:
            console.detail(note)
    shown = len(remarks) if console.verbose else _SHOWN_TENSORS
    for note in remarks[:shown]:
        console.note(note)
    if remarks[shown:]:
        console.note(f"{len(remarks) - shown} more notes (shown with -v)")


if __name__ == "__main__":
    sys.exit(main())
