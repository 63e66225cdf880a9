# SPDX-License-Identifier: MIT
"""Dense index spaces: tensors that have a shape and nothing else, for formats without `full`.

Our `full` turns every element into the coordinates of a dense index. Formats that only know scans
of tensors spell it as the scan of a dense tensor that has no values. Such a scan is read as `full`,
and what reads its references, which have a shape but no meaning, reads the coordinates instead.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from fuseflow.interop.graphs.draft import Draft, DraftNode, Wire
from fuseflow.interop.graphs.operands import Operands
from fuseflow.ir.dataflow import FullAttrs, JoinAttrs, Op, StreamKind

__all__ = ["settle_index_spaces"]


def settle_index_spaces(draft: Draft, operands: Operands, written: Collection[str]) -> None:
    """Turn scans of tensors without values into `full`.

    Args:
        draft: a graph whose wires have one reader each.
        operands: where its tensors are.
        written: tensors that earlier graphs write, which get their values later.
    """
    entered = {node.tensor for node in draft.nodes if node.op in (Op.ARRAY, Op.LOCATE)}
    for node in draft.nodes:
        if node.op is not Op.SCAN or node.tensor in entered or node.tensor in written:
            continue
        shape = operands.shape(node.tensor)
        mode = node.mode or 0
        if shape is None or operands.has_data(node.tensor) or node.compressed:
            continue
        if mode < len(shape):
            node.op, node.attrs, node.tensor = Op.FULL, FullAttrs(shape[mode]), ""
            _drop_references(draft, node)


def _drop_references(draft: Draft, node: DraftNode) -> None:
    """Let what reads the references of a scan read its coordinates."""
    crd, ref = node.outputs
    node.outputs = [ref if crd is None else crd]
    if ref is not None:
        _replace(draft, ref, crd)


def _replace(draft: Draft, wire: int, crd: int | None) -> None:
    """Make a wire carry coordinates, or put a wire that does in its place."""
    spec = draft.wires[wire]
    draft.wires[wire] = Wire(StreamKind.CRD, spec.name, spec.capacity)
    for node, port in draft.readers()[wire]:
        if isinstance(node.attrs, JoinAttrs):
            _drop_payload(draft, node, port)
        else:
            for source, copy in list(node.copied()):
                if source == wire:
                    _replace(draft, copy, None)
    if crd is not None:
        draft.bypass(wire, crd)
        del draft.wires[wire]


def _drop_payload(draft: Draft, join: DraftNode, port: int) -> None:
    """Take a payload from a join; what reads it reads the coordinates that come out."""
    assert isinstance(join.attrs, JoinAttrs)
    ports, start = [], 0
    for side, count in enumerate(join.attrs.payloads):
        ports += [(side, start + 1 + number) for number in range(count)]
        start += 1 + count
    number = [place for _, place in ports].index(port)
    side, _ = ports[number]
    counts = list(join.attrs.payloads)
    counts[side] -= 1
    output = join.outputs[1 + number]
    del join.inputs[port], join.outputs[1 + number]
    join.attrs = replace(join.attrs, payloads=tuple(counts))
    if output is None:
        return
    if join.outputs[0] is None:
        join.outputs[0] = output
        _replace(draft, output, None)
    else:
        _replace(draft, output, join.outputs[0])
