# SPDX-License-Identifier: MIT
"""A kernel of ours as a draft that can be edited until a dialect can express it."""

from __future__ import annotations

from collections.abc import Mapping

from fuseflow.interop.faults import refuse
from fuseflow.interop.graphs.draft import Draft, DraftNode, Wire
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowGraph, Node, Op
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Format, LevelFormat

__all__ = ["draft_of_kernel", "format_of"]


def draft_of_kernel(kernel: DataflowGraph, tensors: Mapping[str, Value]) -> Draft:
    """Return a draft of a verified kernel; its nodes keep their attributes.

    Raises:
        InterchangeError: X004 if a tensor that it touches has no format.
    """
    draft = Draft(kernel.name)
    for sid, stream in kernel.streams.items():
        draft.wires[sid] = Wire(stream.kind, stream.name, stream.capacity)
    for node in kernel.nodes:
        draft.nodes.append(_draft_node(kernel, node, tensors))
    return draft


def _draft_node(kernel: DataflowGraph, node: Node, tensors: Mapping[str, Value]) -> DraftNode:
    name = node.name or f"{node.op} #{node.id}"
    made = DraftNode(node.op, name, list(node.inputs), list(node.outputs), node.attrs)
    ends = (*node.outputs, *node.inputs)
    deepest = max((kernel.streams[s].indices for s in ends if s is not None), key=len, default=())
    made.index = deepest[-1] if deepest else ""
    made.tensor = getattr(node.attrs, "tensor", "")
    if isinstance(node.attrs, df.ScanAttrs | df.LocateAttrs | df.LevelWriteAttrs):
        fmt = format_of(tensors, made.tensor, kernel.name)
        if fmt.levels[node.attrs.level] is LevelFormat.SINGLETON:
            message = f'a singleton level of "{made.tensor}"'
            raise refuse("X004", message, graph=kernel.name, node=name)
        made.mode = fmt.mode_order[node.attrs.level]
        made.compressed = fmt.levels[node.attrs.level].is_stored
    if node.op in (Op.VAL_WRITE, Op.ARRAY):
        format_of(tensors, made.tensor, kernel.name)
    return made


def format_of(tensors: Mapping[str, Value], name: str, kernel: str) -> Format:
    """Return how a tensor is stored.

    Raises:
        InterchangeError: X004 if that is open, or if values are tiles.
    """
    fmt = tensors[name].format
    if fmt is None or fmt.tile:
        what = "has no format" if fmt is None else "holds tiles"
        raise refuse("X004", f'tensor "{name}" {what}', graph=kernel, field=name)
    return fmt
