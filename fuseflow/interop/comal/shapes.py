# SPDX-License-Identifier: MIT
"""References with the shape of a stream: what Comal wants where we take coordinates.

A repeat of Comal takes its signal from references or values, a joiner and a locate want a payload
with their coordinates, and a dense index is entered by references. What such a stream holds does
not matter there, only its shape. It is looked for at the node that made the coordinates.
"""

from __future__ import annotations

from fuseflow.interop.faults import refuse
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.interop.graphs.origins import is_whole, join_inputs, origin
from fuseflow.ir.dataflow import BroadcastAttrs, Op, StreamKind

__all__ = ["has_references", "outer_shape", "references_of", "shape_of", "tap"]


def tap(draft: Draft, wire: int) -> int:
    """Return a wire with the tokens of another one, for one more reader.

    A broadcast that reads the wire gets one more lane, so that nothing else arrives later.
    """
    readers = draft.readers()[wire]
    if not readers:
        return wire
    copy = draft.wire(draft.wires[wire].kind, draft.wires[wire].name)
    node, port = readers[0]
    if node.op is Op.BROADCAST:
        node.outputs.append(copy)
        node.attrs = BroadcastAttrs(len(node.outputs))
        return copy
    moved = draft.wire(draft.wires[wire].kind, draft.wires[wire].name)
    node.inputs[port] = moved
    draft.broadcast(wire, [moved, copy])
    return copy


def outer_shape(draft: Draft, wire: int, reader: DraftNode) -> int:
    """Return a wire with the shape of another one without its innermost lists.

    Raises:
        InterchangeError: X004 if the node that made the stream reads no such wire.
    """
    node, port = origin(draft, wire)
    source = node.inputs[0] if node.inputs else None
    match node.op:
        case Op.JOIN:
            return outer_shape(draft, join_inputs(node)[0][0], reader)
        case Op.LOCATE | Op.ARRAY | Op.ALU if source is not None:
            return outer_shape(draft, source, reader)
        case Op.REDUCE if source is not None:
            return outer_shape(draft, outer_shape(draft, source, reader), reader)
        case Op.SPACC if source is not None:
            level = min(port, len(node.outputs) - 2)
            return _output(draft, node, level - 1) if level else outer_shape(draft, source, reader)
        case Op.SCAN | Op.REPEAT if source is not None:
            return source
    message = f'nothing tells the lists of "{draft.wires[wire].name or wire}" from each other'
    raise refuse("X004", message, graph=draft.name, node=reader.name)


def references_of(draft: Draft, wire: int, reader: DraftNode) -> int:
    """Return references with the shape of a wire, for the public dialect.

    Where there are none, the root of nothing is repeated over coordinates, which no simulator runs.

    Raises:
        InterchangeError: X004 if the wire has no coordinates, or none around them.
    """
    if has_references(draft, wire):
        return shape_of(draft, wire, reader, values=False)
    if draft.wires[wire].kind is not StreamKind.CRD:
        beside = _coordinates_beside(draft, wire)
        if beside is None:
            return shape_of(draft, wire, reader, values=False)
        wire = beside
    outer = references_of(draft, outer_shape(draft, wire, reader), reader)
    made = draft.wire(StreamKind.REF, reader.name)
    repeat = DraftNode(Op.REPEAT, f"repeat for {reader.name}", [outer, tap(draft, wire)], [made])
    draft.nodes.insert(draft.nodes.index(reader), repeat)
    draft.remarks.append(
        f"{reader.name} wants references beside coordinates: no simulator there makes them"
    )
    return made


def _coordinates_beside(draft: Draft, wire: int) -> int | None:
    """Return coordinates of the shape of values, looked for at what made those."""
    node, _ = origin(draft, wire)
    if node.op is Op.SPACC:
        return _output(draft, node, len(node.outputs) - 2)
    if node.op is Op.ALU:
        found = (_coordinates_beside(draft, source) for source in node.inputs if source is not None)
        return next((beside for beside in found if beside is not None), None)
    return None


def shape_of(draft: Draft, wire: int, reader: DraftNode, *, values: bool) -> int:
    """Return a stream of references (or, with `values`, values) with the shape of a wire.

    The wire that is returned has no reader yet. Nothing is missing in it, if that can be had.

    Raises:
        InterchangeError: X004 if the node that made the stream sends no such references.
    """
    node, port = origin(draft, wire)
    wanted = (StreamKind.REF, StreamKind.VAL) if values else (StreamKind.REF,)
    for number in _siblings(draft, node, port):
        if _kind(draft, node, number) in wanted:
            return tap(draft, _output(draft, node, number))
    kinds = "references or values" if values else "references"
    message = f'stream "{draft.wires[wire].name or wire}" is needed as {kinds}, and its source'
    raise refuse("X004", f'{message} "{node.name}" sends none', graph=draft.name, node=reader.name)


def has_references(draft: Draft, wire: int) -> bool:
    """Return whether the node that made a stream sends references of its shape."""
    node, port = origin(draft, wire)
    kinds = (_kind(draft, node, number) for number in _siblings(draft, node, port))
    return StreamKind.REF in kinds


def _siblings(draft: Draft, node: DraftNode, port: int) -> list[int]:
    """Return the outputs of a node that have the shape of one of them, and no coordinates."""
    last = len(node.outputs) - 1
    match node.op:
        case Op.SCAN | Op.LOCATE:
            return [1]
        case Op.JOIN:
            sides = [crd for crd, payloads in join_inputs(node) for _ in payloads]
            numbers = range(1, 1 + len(sides))
            return sorted(numbers, key=lambda number: not is_whole(draft, sides[number - 1]))
        case Op.SPACC | Op.VALDROP:
            return [last] if port in (last - 1, last) else []
        case Op.ROOT | Op.REPEAT | Op.ARRAY | Op.ALU | Op.REDUCE:
            return [0]
    return []


def _kind(draft: Draft, node: DraftNode, number: int) -> StreamKind:
    wire = node.outputs[number]
    if node.op is Op.SPACC and number < len(node.outputs) - 1:
        return StreamKind.CRD
    if wire is None and node.op is Op.JOIN:
        wire = [payload for _, payloads in join_inputs(node) for payload in payloads][number - 1]
    if wire is not None:
        return draft.wires[wire].kind
    return StreamKind.VAL if node.op in (Op.SPACC, Op.VALDROP) else StreamKind.REF


def _output(draft: Draft, node: DraftNode, number: int) -> int:
    """Return the wire of an output.

    One that was void is read through a broadcast if the coordinates beside it are, so that what
    moves from one to the other still arrives in the same cycle.
    """
    wire = node.outputs[number]
    if wire is None:
        wire = draft.wire(_kind(draft, node, number), node.name)
        node.outputs[number] = wire
        readers = draft.readers()
        beside = [r.op for w in node.outputs[:1] if w is not None for r, _ in readers[w]]
        if Op.BROADCAST in beside:
            draft.broadcast(wire, [])
    return wire
