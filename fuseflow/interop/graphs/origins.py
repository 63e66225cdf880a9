# SPDX-License-Identifier: MIT
"""Where a stream of a draft comes from: its maker behind all broadcasts, and what it holds."""

from __future__ import annotations

from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.ir.dataflow import JoinAttrs, Op

__all__ = ["is_whole", "join_inputs", "origin"]


def origin(draft: Draft, wire: int) -> tuple[DraftNode, int]:
    """Return the node that made a stream, broadcasts aside, and the number of its output."""
    producers = draft.producers()
    while producers[wire].op is Op.BROADCAST:
        source = producers[wire].inputs[0]
        assert source is not None
        wire = source
    return producers[wire], producers[wire].outputs.index(wire)


def is_whole(draft: Draft, wire: int) -> bool:
    """Return whether every list of a coordinate stream holds all of a dense index."""
    node, _ = origin(draft, wire)
    if isinstance(node.attrs, JoinAttrs):
        wholes = [is_whole(draft, crd) for crd, _ in join_inputs(node)]
        return all(wholes) if node.attrs.keep == "intersect" else any(wholes)
    return node.op is Op.FULL or (node.op is Op.SCAN and node.compressed is False)


def join_inputs(node: DraftNode) -> list[tuple[int, list[int]]]:
    """Return the coordinates of every input of a join, and its payloads."""
    assert isinstance(node.attrs, JoinAttrs)
    wires = [wire for wire in node.inputs if wire is not None]
    sides, start = [], 0
    for count in node.attrs.payloads:
        sides.append((wires[start], wires[start + 1 : start + 1 + count]))
        start += 1 + count
    return sides
