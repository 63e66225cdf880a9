# SPDX-License-Identifier: MIT
"""A SAM graph and its tensors -> DataflowProgram."""

from __future__ import annotations

import re
from pathlib import Path

from fuseflow.errors import InterchangeError
from fuseflow.interop.faults import in_file, malformed
from fuseflow.interop.graphs.drops import settle_drops
from fuseflow.interop.graphs.operands import Operands
from fuseflow.interop.graphs.program import build_program
from fuseflow.interop.sam.dot import parse_dot
from fuseflow.interop.sam.graph import link_graph
from fuseflow.interop.sam.nodes import draft_sam
from fuseflow.interop.sam.rewrites import rewrite
from fuseflow.ir.dataflow import DataflowProgram

__all__ = ["import_sam", "parse_sam"]

_FORMAT = re.compile(r"([^=,\s]+)=(none|([a-z]+)([0-9,-]+))")
_STORED = {"d": "dense", "s": "compressed"}


def import_sam(path: Path, operands: Operands) -> DataflowProgram:
    """Read a .gv file as a program of one kernel.

    Args:
        path: the file.
        operands: the tensors that the graph reads.

    Raises:
        InterchangeError: if the file cannot be read, the graph has no counterpart here, or tensors
            do not fit.
        GraphError: if the program breaks a rule of the verifier.
        OSError: if the file cannot be read.
    """
    try:
        text = path.read_text()
    except UnicodeDecodeError as error:
        raise malformed(f"this is no text: {error.reason}", file=str(path)) from error
    try:
        return parse_sam(text, operands, path.stem)
    except InterchangeError as error:
        raise in_file(error, str(path)) from error


def parse_sam(text: str, operands: Operands, name: str) -> DataflowProgram:
    """Read the text of a .gv file; see `import_sam`."""
    graph = link_graph(parse_dot(text), name)
    orders = _stored_orders(graph.header)
    rewrite(graph)
    draft = draft_sam(graph)
    settle_drops(draft)
    draft.prune()
    return build_program([draft], operands, orders=orders, strict_names=True)


def _stored_orders(header: str) -> dict[str, tuple[int, ...]]:
    """Return the order of dimensions of every tensor: `X=ss01,C=dd10,b=none`, result first."""
    orders: dict[str, tuple[int, ...]] = {}
    position = 0
    while position < len(header):
        match = _FORMAT.match(header, position)
        if match is None:
            raise malformed(f'cannot read the formats "{header[position:]}" of the graph')
        name, _, levels, modes = match.groups()
        unknown = sorted(set(levels or "") - set(_STORED))
        if unknown:
            raise malformed(f'tensor {name} has levels of kind "{unknown[0]}", not d or s')
        order = tuple(map(int, re.findall("[0-9]", (modes or "").rstrip(",")))) if levels else ()
        if sorted(order) != list(range(len(levels or ""))):
            raise malformed(f"tensor {name} has levels {levels} in the order {modes}")
        orders[name] = order
        position = match.end() + (header[match.end() : match.end() + 1] == ",")
    return orders
