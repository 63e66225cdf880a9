# SPDX-License-Identifier: MIT
"""SAM graph -> draft: every node as a primitive of ours, every output that is read as a wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.interop.graphs.origins import is_whole
from fuseflow.interop.sam.graph import JOINS, SamGraph, SamNode
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op, StreamKind

__all__ = ["draft_sam"]

CRD, REF, VAL = StreamKind.CRD, StreamKind.REF, StreamKind.VAL
_ALU = {"mul": "mul", "fp_mul": "mul", "add": "add", "fp_add": "add", "fp_div": "div",
        "max": "max", "smax": "max", "fp_max": "max"}  # fmt: skip
_UNARY = {"exp": "exp", "fp_exp": "exp"}
_CONSTANTS = ("const0", "in2")


def draft_sam(graph: SamGraph) -> Draft:
    """Return the draft of a rewritten graph.

    Raises:
        InterchangeError: X005 for a node that has no primitive here, X006 for one that lacks an
            input, X004 for a dense result whose coordinates are not complete.
    """
    reader = _Reader(graph)
    for node in graph.nodes.values():
        read = _READERS.get(node.type)
        if read is None:
            raise graph.error("X005", node, f'there is no primitive for "{node.type}"')
        read(reader, node)
    reader.check_dense_results()
    return reader.draft


class _Reader:
    def __init__(self, graph: SamGraph) -> None:
        self.graph = graph
        self.draft = Draft(graph.name, remarks=graph.remarks)
        self.wires: dict[tuple[str, str], int] = {}

    def source(self, node: SamNode, port: str) -> int:
        """Return the wire that ends at an input."""
        link = self.graph.feeding(node, port)
        return self.wire(link.source, link.output, _kind_of(link.kind))

    def optional(self, node: SamNode, port: str) -> int | None:
        """Return the wire that ends at an input, None if there is none."""
        connected = any(link.input == port for link in self.graph.into(node))
        return self.source(node, port) if connected else None

    def target(self, node: SamNode, port: str) -> int | None:
        """Return the wire of an output, None if nobody reads it."""
        links = [link for link in self.graph.out_of(node) if link.output == port]
        return self.wire(node, port, _kind_of(links[0].kind)) if links else None

    def wire(self, node: SamNode, port: str, kind: StreamKind) -> int:
        """Return the wire of an output that is read."""
        key = node.id, port
        if key not in self.wires:
            self.wires[key] = self.draft.wire(kind, f"{node.id}.{port}")
        return self.wires[key]

    def root(self, node: SamNode) -> int:
        """Add a root in front of a node that has none in the file."""
        tensor = node.get("tensor")
        wire = self.draft.wire(REF, f"{node.id}.root")
        made = DraftNode(Op.ROOT, f"root {tensor} #{node.id}", [], [wire], tensor=tensor)
        self.draft.nodes.append(made)
        return wire

    def add(
        self,
        node: SamNode,
        op: Op,
        inputs: list[int | None],
        outputs: list[int | None],
        attrs: df.NodeAttrs | None = None,
    ) -> DraftNode:
        """Append a node."""
        made = DraftNode(op, node.title, inputs, outputs, attrs or df.NoAttrs())
        made.tensor, made.index = node.get("tensor"), node.get("index")
        self.draft.nodes.append(made)
        return made

    def mode(self, node: SamNode) -> int:
        """Return the logical dimension of a node."""
        text = node.get("mode")
        if not (text.isascii() and text.isdigit()):
            raise self.graph.error("X001", node, f'mode "{text}" is no dimension')
        return int(text)

    def check_dense_results(self) -> None:
        """Refuse a dense level of a result that gets some coordinates only.

        A dense writer of SAM stores no coordinates, so its values would shift.
        """
        for node in self.draft.nodes:
            if node.op is not Op.LEVEL_WRITE or node.compressed is not False:
                continue
            wire = node.inputs[0]
            if wire is not None and not is_whole(self.draft, wire):
                where = next(each for each in self.graph.nodes.values() if each.title == node.name)
                message = "it writes a dense level from coordinates that may be incomplete"
                raise self.graph.error("X004", where, message)


def _kind_of(kind: str) -> StreamKind:
    return CRD if kind == "repsig" else StreamKind(kind)


def _scan(reader: _Reader, node: SamNode) -> None:
    is_root = node.get("root") == "true"
    read = reader.root(node) if is_root else reader.source(node, "ref")
    made = reader.add(
        node, Op.SCAN, [read], [reader.target(node, "crd"), reader.target(node, "ref")]
    )
    made.mode, made.compressed = reader.mode(node), node.get("format") == "compressed"


def _repeat(reader: _Reader, node: SamNode) -> None:
    is_root = node.get("root") == "true"
    read = reader.root(node) if is_root else reader.source(node, "ref")
    signal = reader.source(node, "signal")
    reader.add(node, Op.REPEAT, [read, signal], [reader.target(node, "ref")])


def _join(reader: _Reader, node: SamNode) -> None:
    count = sum(link.input.startswith("crd") for link in reader.graph.into(node))
    if count < 2:
        raise reader.graph.error("X006", node, f"it joins {count} streams of coordinates")
    inputs: list[int | None] = []
    outputs = [reader.target(node, "crd")]
    payloads = []
    for side in range(count):
        payload = reader.optional(node, f"pay{side}")
        inputs.append(reader.source(node, f"crd{side}"))
        payloads.append(int(payload is not None))
        if payload is not None:
            inputs.append(payload)
            outputs.append(reader.target(node, f"pay{side}"))
    reader.add(node, Op.JOIN, inputs, outputs, df.JoinAttrs(node.type, tuple(payloads)))


def _array(reader: _Reader, node: SamNode) -> None:
    reader.add(node, Op.ARRAY, [reader.source(node, "ref")], [reader.target(node, "val")])


def _alu(reader: _Reader, node: SamNode) -> None:
    count = len(reader.graph.into(node))
    fn = _UNARY.get(node.type) or _ALU[node.type]
    parameters: tuple[float, ...] = ()
    if count == 1 and node.type in _ALU:
        parameters = (_constant(reader, node),)
        fn = f"{fn}_scalar"
    elif fn == "add" and node.get("sub") == "1":
        fn = "sub"
    wanted = 1 if node.type in _UNARY or parameters else 2
    if count != wanted:
        raise reader.graph.error("X006", node, f"it has {count} operands, not {wanted}")
    operands: list[int | None] = [reader.source(node, f"val{port}") for port in range(count)]
    attrs = df.AluAttrs(fn, (0.0,) * count, parameters)
    reader.add(node, Op.ALU, operands, [reader.target(node, "val")], attrs)


def _constant(reader: _Reader, node: SamNode) -> float:
    """Return the other operand of a function of one stream; a maximum is with 0 by default."""
    texts = [node.get(name) for name in _CONSTANTS if node.get(name)]
    try:
        return float(texts[0] if texts or "max" not in node.type else "0")
    except (ValueError, IndexError) as error:
        message = "its second operand is neither a stream nor a constant"
        raise reader.graph.error("X006", node, message) from error


def _reduce(reader: _Reader, node: SamNode) -> None:
    inputs = [reader.source(node, "val0"), None]
    reader.add(node, Op.REDUCE, inputs, [reader.target(node, "val")], df.ReduceAttrs("add"))


def _spacc(reader: _Reader, node: SamNode) -> None:
    text = node.get("order")
    order = int(text) if text.isdigit() and text != "0" else 1
    names = [node.get(f"in{level}") for level in range(order, -1, -1)]
    keys: list[int | None] = [reader.source(node, f"crd {name}") for name in names]
    inputs = [*keys, reader.source(node, "val0"), None]
    outputs = [reader.target(node, f"crd {name}") for name in names[1:]]
    attrs = df.SpaccAttrs("add", order, (0,) * order)
    reader.add(node, Op.SPACC, inputs, [*outputs, reader.target(node, "val")], attrs)


def _pair(op: Op) -> Callable[[_Reader, SamNode], None]:
    def read(reader: _Reader, node: SamNode) -> None:
        over_values = node.get("vals") == "true" or node.get("inner") in ("vals", "val")
        if over_values and op is Op.HOLD:
            message = "holding coordinates over values fills gaps, for which there is no primitive"
            raise reader.graph.error("X005", node, message)
        inputs: list[int | None] = [reader.source(node, side) for side in ("outer", "inner")]
        outputs = [reader.target(node, side) for side in ("outer", "inner")]
        if over_values:
            reader.add(node, Op.VALDROP, inputs, outputs, df.ValDropAttrs())
        else:
            reader.add(node, op, inputs, outputs)

    return read


def _valdrop(reader: _Reader, node: SamNode) -> None:
    inputs: list[int | None] = [reader.source(node, "crd"), reader.source(node, "val0")]
    outputs = [reader.target(node, "crd"), reader.target(node, "val")]
    reader.add(node, Op.VALDROP, inputs, outputs, df.ValDropAttrs())


def _writer(reader: _Reader, node: SamNode) -> None:
    if node.get("mode") == "vals":
        reader.add(node, Op.VAL_WRITE, [reader.source(node, "val0"), None], [])
        return
    made = reader.add(node, Op.LEVEL_WRITE, [reader.source(node, "crd")], [])
    made.mode, made.compressed = reader.mode(node), node.get("format") != "dense"


_READERS: Mapping[str, Callable[[_Reader, SamNode], None]] = {
    "fiberlookup": _scan,
    "repeat": _repeat,
    "arrayvals": _array,
    "reduce": _reduce,
    "spaccumulator": _spacc,
    "crddrop": _pair(Op.DROP),
    "crdhold": _pair(Op.HOLD),
    "valdrop": _valdrop,
    "fiberwrite": _writer,
    **dict.fromkeys(JOINS, _join),
    **dict.fromkeys((*_ALU, *_UNARY), _alu),
}
