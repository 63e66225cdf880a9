# SPDX-License-Identifier: MIT
"""`ff-import`: a model -> EinsumGraph."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fuseflow.cli.common import Context, produce, run, write_text
from fuseflow.cli.parser import Parser
from fuseflow.cli.sources import list_zoo, load_model
from fuseflow.errors import UsageError

if TYPE_CHECKING:
    from fuseflow.frontend.options import ImportOptions

__all__ = ["main", "make_parser"]

DESCRIPTION = """Turn a PyTorch or ONNX model into an einsum graph.

MODEL is one of
  zoo:NAME                 a model that comes with fuseflow; --list names them
  package.module:factory   a function that returns (nn.Module, example inputs)
  file.py:factory          the same, in a file
  model.onnx               an ONNX file
  model.pt2                a file of torch.export.save

  ff-import zoo:gcn --set hidden=32 | ff-fuse | ff-sim --check"""


def make_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser("ff-import", DESCRIPTION)
    parser.add_argument("model", nargs="?", metavar="MODEL", help="where the model is, see above")
    parser.add_output("the EinsumGraph")
    pairs = (
        ("--set", "KEY=VALUE", "a setting of the zoo's model or argument of the factory"),
        ("--bind", "NAME=FILE", "take an input from an .npy, .npz or .mtx file (.npz: FILE:KEY)"),
        (
            "--format",
            "NAME=FORMAT",
            "store a tensor so: dense,compressed or dense,dense@1,0; NAME may hold * and ?",
        ),
    )
    for option, metavar, text in pairs:
        parser.add_argument(
            option, action="append", default=[], metavar=metavar, help=f"{text}; may be repeated"
        )
    parser.add_argument(
        "--no-reference",
        action="store_true",
        help="do not store what the framework computes, which ff-sim --check needs",
    )
    parser.add_argument(
        "--sparsity-threshold",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="store a tensor sparse if at most this share of it is not zero (default 0.5)",
    )
    parser.add_argument(
        "--empty-rows",
        choices=("error", "zero"),
        default="error",
        help="what a softmax row is whose mask allows nothing: an error (the default), or zero",
    )
    parser.add_argument(
        "--random-inputs",
        type=int,
        metavar="SEED",
        help="draw inputs for which there is no data, in place of an error",
    )
    parser.add_incidental(
        "--list", action="store_true", help="list the models of the zoo with their settings"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(make_parser(), _execute, arguments)


def _execute(context: Context) -> int:
    if context.args.list:
        write_text(context.args.output, "\n".join(list_zoo()) + "\n")
        return 0
    if context.args.model is None:
        raise UsageError("U010 no-model", "no MODEL is named", fix="see ff-import --help")
    from fuseflow.ir.verify_einsum import verify_einsum_graph

    # Whatever a user's code prints while its model is built must not mix with the artifact.
    with contextlib.redirect_stdout(sys.stderr):
        settings = _pairs("--set", context.args.set)
        graph = load_model(context.args.model, settings, _options(context))
    verify_einsum_graph(graph)
    for note in graph.notes:
        context.console.detail(note)
    produce(context, graph)
    return 0


def _options(context: Context) -> ImportOptions:
    from fuseflow.frontend.options import ImportOptions

    args = context.args
    if not 0 <= args.sparsity_threshold <= 1:
        raise UsageError(
            "U002 bad-option", f"--sparsity-threshold {args.sparsity_threshold:g} is not 0 to 1"
        )
    return ImportOptions(
        formats=_pairs("--format", args.format),
        density_threshold=args.sparsity_threshold,
        reference=not args.no_reference,
        empty_rows=args.empty_rows,
        bindings=_pairs("--bind", args.bind),
        random_inputs=args.random_inputs,
    )


def _pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Read repeated KEY=VALUE options."""
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError("U002 bad-option", f'{option} "{text}" is not of the form KEY=VALUE')
        if key in pairs:
            raise UsageError("U002 bad-option", f'{option} gives "{key}" twice')
        pairs[key] = value
    return pairs
