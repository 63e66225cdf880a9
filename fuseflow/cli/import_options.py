# SPDX-License-Identifier: MIT
"""The options of `ff-import` that decide how a model is read."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fuseflow.cli.parser import Parser
from fuseflow.errors import UsageError

if TYPE_CHECKING:
    from fuseflow.frontend.options import ImportOptions

__all__ = ["add_import_options", "pairs", "read_options"]

_PAIRS = (
    ("--set", "KEY=VALUE", "a setting of the zoo's model or argument of the factory"),
    (
        "--bind",
        "NAME=FILE",
        "take an input from an .npy, .npz, .mtx or .tns file, or a list of edges in .edges, .el, "
        ".tsv or .txt (FILE:KEY for one of several operands in a file)",
    ),
    (
        "--format",
        "NAME=FORMAT",
        "store a tensor so: dense,compressed or dense,dense@1,0; NAME may hold * and ?",
    ),
    ("--input-shape", "NAME=SHAPE", "fix a shape that an ONNX file leaves open, as x=8x64"),
)


def add_import_options(parser: Parser) -> None:
    """Add the options that `read_options` and `pairs` read."""
    for option, metavar, text in _PAIRS:
        parser.add_argument(
            option, action="append", default=[], metavar=metavar, help=f"{text}; may be repeated"
        )
    parser.add_argument(
        "--sidecar",
        metavar="FILE",
        help="a YAML file that says how tensors are stored and where their data are",
    )
    _add_references(parser)
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


def read_options(args: argparse.Namespace) -> ImportOptions:
    """Return what a user asks of an import.

    Raises UsageError U002 for a value that an option does not take, and what `read_sidecar` raises.
    """
    from fuseflow.frontend.options import ImportOptions
    from fuseflow.frontend.storage.sidecar import read_sidecar

    if not 0 <= args.sparsity_threshold <= 1:
        raise UsageError(
            "U002 bad-option", f"--sparsity-threshold {args.sparsity_threshold:g} is not 0 to 1"
        )
    return ImportOptions(
        formats=pairs("--format", args.format),
        density_threshold=args.sparsity_threshold,
        reference=not args.no_reference,
        check=args.check,
        empty_rows=args.empty_rows,
        bindings=pairs("--bind", args.bind),
        random_inputs=args.random_inputs,
        input_shapes={
            name: _shape(name, text)
            for name, text in pairs("--input-shape", args.input_shape).items()
        },
        sidecar=read_sidecar(args.sidecar) if args.sidecar else (),
    )


def pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Read a repeated KEY=VALUE option; raises UsageError U002 for another form or a key twice."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError("U002 bad-option", f'{option} "{text}" is not of the form KEY=VALUE')
        if key in found:
            raise UsageError("U002 bad-option", f'{option} gives "{key}" twice')
        found[key] = value
    return found


def _add_references(parser: Parser) -> None:
    parser.add_argument(
        "--no-reference",
        action="store_true",
        help="do not store what the framework computes, which ff-sim --check needs",
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--check",
        action="store_const",
        const=True,
        help="compare what the graph computes with what the framework does, however much work it "
        "is (default: unless it is much)",
    )
    group.add_argument(
        "--no-check",
        dest="check",
        action="store_const",
        const=False,
        help="do not compare the graph with the framework",
    )


def _shape(name: str, text: str) -> tuple[int, ...]:
    extents = text.split("x") if text else []
    if not all(extent.isascii() and extent.isdecimal() for extent in extents):
        raise UsageError("U002 bad-option", f"--input-shape {name}={text} is not of the form 8x64")
    return tuple(map(int, extents))
