# SPDX-License-Identifier: MIT
"""The rules of single nodes of a dataflow graph: attributes, ports, kinds and depths of streams.

Part of the dataflow verifier; rule ids are listed in `fuseflow.ir.verify_dataflow`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fuseflow.errors import Finding, Location
from fuseflow.ir.dataflow import DataflowGraph, Node, Op, Stream, StreamKind
from fuseflow.ir.op_specs import OP_SPECS, Port, ports_of
from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS

__all__ = ["WiredNode", "check_attributes", "check_ports", "node_place", "wire_node"]

COMPARISONS = ("lt", "le", "eq", "ne", "ge", "gt")
NAMED_KEEPS = ("intersect", "union", "left")


@dataclass(frozen=True, slots=True)
class WiredNode:
    """A node with its ports and the streams on them; None where nothing is connected."""

    node: Node
    where: Location
    input_ports: tuple[Port, ...]
    output_ports: tuple[Port, ...]
    inputs: tuple[Stream | None, ...]
    outputs: tuple[Stream | None, ...]

    def sides(self) -> Iterator[tuple[str, int, Port, Stream]]:
        """Yield ("input" or "output", port number, port, stream) for every connected port."""
        for side, ports, streams in (
            ("input", self.input_ports, self.inputs),
            ("output", self.output_ports, self.outputs),
        ):
            for number, (port, stream) in enumerate(zip(ports, streams, strict=True)):
                if stream is not None:
                    yield side, number, port, stream


def node_place(kernel: DataflowGraph, node: Node) -> Location:
    """Return where a node is; a node without a name is named by its id."""
    return Location(graph=kernel.name, node=node.name or f"#{node.id}")


def wire_node(kernel: DataflowGraph, node: Node) -> WiredNode:
    """Look up ports and streams of a node that passed `check_attributes` and port counts."""

    def find(ids: tuple[int | None, ...]) -> tuple[Stream | None, ...]:
        return tuple(None if sid is None else kernel.streams[sid] for sid in ids)

    inputs, outputs = ports_of(node)
    place = node_place(kernel, node)
    return WiredNode(node, place, inputs, outputs, find(node.inputs), find(node.outputs))


def check_attributes(kernel: DataflowGraph, node: Node) -> Iterator[Finding]:
    """Yield D009 for a wrong attribute record, or for each value that it must not have."""
    expected = OP_SPECS[node.op].attrs
    where = node_place(kernel, node)
    if not isinstance(node.attrs, expected):
        message = f"{node.op} has {type(node.attrs).__name__}, expected {expected.__name__}"
        yield Finding("D009", message, where)
        return
    check = _ATTRIBUTE_CHECKS.get(node.op)
    if check is not None:
        yield from (Finding("D009", message, where) for message in check(node.attrs))


def check_ports(kernel: DataflowGraph, node: Node) -> Iterator[Finding]:
    """Yield D003 to D005: ports connected as specified, to streams of the right kind and depth."""
    where = node_place(kernel, node)
    missing = list(_check_connections(node, where))
    yield from missing
    if not missing:
        wired = wire_node(kernel, node)
        yield from _check_kinds(wired)
        yield from _check_depths(wired)


def _check_connections(node: Node, where: Location) -> Iterator[Finding]:
    inputs, outputs = ports_of(node)
    for side, ports, ids in (("inputs", inputs, node.inputs), ("outputs", outputs, node.outputs)):
        if len(ids) != len(ports):
            names = ", ".join(port.name for port in ports) or "none"
            message = f"{len(ids)} {side}, expected {len(ports)} ({names})"
            yield Finding("D003", message, where)
    if len(node.inputs) == len(inputs):
        for number, (port, sid) in enumerate(zip(inputs, node.inputs, strict=True)):
            if sid is None and not port.optional:
                yield Finding("D003", f"input {number} ({port.name}) is not connected", where)


def _check_kinds(wired: WiredNode) -> Iterator[Finding]:
    kinds: dict[str, StreamKind] = {}
    for side, number, port, stream in wired.sides():
        twin = kinds.get(port.same_as) if port.same_as else None
        allowed = port.kinds if twin is None else frozenset({twin})
        if stream.kind not in allowed:
            names = " or ".join(sorted(allowed))
            message = f"{side} {number} is stream {stream.id} of kind {stream.kind}"
            yield Finding("D004", f"{message}, expected {names}", wired.where)
        if side == "input":
            kinds[port.name] = stream.kind


def _check_depths(wired: WiredNode) -> Iterator[Finding]:
    """Compare depths with the base depth, which is set by the first port (0 for a root)."""
    base = 0 if wired.node.op is Op.ROOT else None
    for side, number, port, stream in wired.sides():
        base = stream.depth - port.level if base is None else base
        needed = base + port.level
        if stream.depth != needed:
            message = f"{side} {number} is stream {stream.id} of depth {stream.depth}"
            yield Finding("D005", f"{message}, expected {needed}", wired.where)


def _reduction_problems(attrs: Any) -> Iterator[str]:
    if attrs.op not in REDUCTIONS:
        yield f"unknown reduction {attrs.op!r}"
    if attrs.extent is not None and attrs.extent < 0:
        yield f"extent {attrs.extent} is negative"


def _spacc_problems(attrs: Any) -> Iterator[str]:
    yield from _reduction_problems(attrs)
    if attrs.order < 1:
        yield f"order {attrs.order}, expected at least 1"
    if len(attrs.full) != attrs.order or any(extent < 0 for extent in attrs.full):
        yield f"full {attrs.full}, expected one extent (or 0) for each of {attrs.order} keys"


def _alu_problems(attrs: Any) -> Iterator[str]:
    row = SCALAR_FUNCTIONS.get(attrs.fn)
    if row is None:
        yield f"unknown function {attrs.fn!r}"
        return
    if len(attrs.fills) != row.arity:
        yield f"{len(attrs.fills)} fills, {attrs.fn} has {row.arity} operands"
    if len(attrs.parameters) != len(row.parameters):
        names = ", ".join(row.parameters) or "none"
        yield f"{len(attrs.parameters)} parameters, {attrs.fn} takes {names}"
    if attrs.tile_op is not None:
        yield from _tile_op_problems(attrs.tile_op, row.arity)


def _tile_op_problems(op: Any, arity: int) -> Iterator[str]:
    if len(op.operands) != arity:
        yield f"a tile operation of {len(op.operands)} operands, expected {arity}"
    if any(size < 1 for size in op.sizes):
        yield f"tile axes of extents {op.sizes}"
    known = set(range(len(op.sizes)))
    for tile in (*op.operands, op.result):
        if len(set(tile.axes)) != len(tile.axes) or not set(tile.axes) <= known:
            yield f"tile axes {tile.axes} of {len(op.sizes)}"
    read = {axis for tile in op.operands for axis in tile.axes}
    unread = [axis for axis in sorted(known - read) if op.sizes[axis] > 1]
    if unread:
        yield f"tile axes {unread} that no operand has"
    if bool(op.fold) != bool(known - set(op.result.axes)):
        yield f'folds with "{op.fold}", the result lacks axes {sorted(known - set(op.result.axes))}'
    if op.fold and op.fold not in REDUCTIONS:
        yield f"unknown reduction {op.fold!r}"


def _join_problems(attrs: Any) -> Iterator[str]:
    count = len(attrs.payloads)
    if count < 2:
        yield f"joins {count} inputs, expected at least 2"
    if any(payloads < 0 for payloads in attrs.payloads):
        yield f"payload counts {attrs.payloads} are negative"
    if attrs.keep in NAMED_KEEPS:
        return
    if len(attrs.keep) != 1 << count or set(attrs.keep) - {"0", "1"}:
        names = ", ".join(NAMED_KEEPS)
        yield f"keep {attrs.keep!r}, expected {names} or {1 << count} characters 0 or 1"
    elif attrs.keep[0] == "1":
        yield f"keep {attrs.keep!r} keeps coordinates that no input has"


def _concat_problems(attrs: Any) -> Iterator[str]:
    if attrs.mode not in ("mix", "pad"):
        yield f"mode {attrs.mode!r}, expected mix or pad"
    if not attrs.offsets or any(offset < 0 for offset in attrs.offsets):
        yield f"offsets {attrs.offsets}, expected one >= 0 per input"
    if attrs.depth < 0 or (attrs.mode == "pad" and attrs.depth):
        yield f"depth {attrs.depth} does not fit mode {attrs.mode}"


def _at_least(least: int, *fields: str) -> Callable[[Any], Iterator[str]]:
    """Return the check that no field is too small."""

    def check(attrs: Any) -> Iterator[str]:
        for name in fields:
            if getattr(attrs, name) < least:
                yield f"{name} {getattr(attrs, name)}, expected at least {least}"

    return check


def _gather_problems(attrs: Any) -> Iterator[str]:
    yield from _at_least(1, "lanes")(attrs)
    yield from _at_least(0, "depth")(attrs)


def _mask_problems(attrs: Any) -> Iterator[str]:
    if attrs.keep not in COMPARISONS:
        yield f"keep {attrs.keep!r}, expected one of {', '.join(COMPARISONS)}"


_ATTRIBUTE_CHECKS: Mapping[Op, Callable[[Any], Iterator[str]]] = {
    Op.SCAN: _at_least(0, "level"),
    Op.FULL: _at_least(0, "size"),
    Op.LOCATE: _at_least(0, "level", "size", "stride", "base", "parent_stride"),
    Op.JOIN: _join_problems,
    Op.REPLAY: _at_least(1, "depth"),
    Op.MASK: _mask_problems,
    Op.ALU: _alu_problems,
    Op.REDUCE: _reduction_problems,
    Op.SPACC: _spacc_problems,
    Op.FORK: _at_least(1, "lanes"),
    Op.GATHER: _gather_problems,
    Op.BROADCAST: _at_least(1, "copies"),
    Op.CONCAT: _concat_problems,
    Op.LEVEL_WRITE: _at_least(0, "level"),
}
