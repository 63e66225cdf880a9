# SPDX-License-Identifier: MIT
"""Draft -> ComalGraph: every node as an operator, every wire as a stream id.

Ids are those of the wires, unique over all kinds of streams; a void output is id 0. Operators stand
in topological order, each broadcast right behind what it copies, as the visualiser wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from fuseflow.interop.comal.labels import format_attributes, function_port
from fuseflow.interop.comal.limits import ALU_OPS, is_function
from fuseflow.interop.comal.message import Message
from fuseflow.interop.comal.schema import PUBLIC, Schema, schema_of
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.interop.graphs.references import owners_of
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op, StreamKind

__all__ = ["graph_of_draft"]

CHANNEL_SIZE = 1024
"""What other writers state; no simulator reads it."""

_STREAMS = {
    StreamKind.CRD: "CrdStream",
    StreamKind.REF: "RefStream",
    StreamKind.VAL: "ValStream",
}
_ARMS = {StreamKind.CRD: "crd", StreamKind.REF: "ref", StreamKind.VAL: "val"}

Content = tuple[str, str, dict[str, Any]]
"""Member of the oneof of an operator, its name for people, and its fields."""


def graph_of_draft(
    draft: Draft, dialect: str, spaces: Collection[str] = ()
) -> tuple[Message, list[int]]:
    """Return the graph of a draft that the checks have passed, with its index tensors.

    The second result has the number of the node that each operator stands for, 0 for none.
    """
    draft.sort()
    writer = _Writer(draft, schema_of(dialect), owners_of(draft, spaces))
    operators: list[Message] = []
    numbers: list[int] = []
    for node in _placed(draft):
        if writer.has_signal(node):
            operators.append(writer.signal(len(operators) + 1, node))
            numbers.append(0)
        operators.append(writer.operator(len(operators) + 1, node))
        numbers.append(node.number)
    body = writer.message("ProgramGraph", name=draft.name, operators=operators)
    graph = writer.message("ComalGraph", name=draft.name, channel_size=CHANNEL_SIZE, graph=body)
    return graph, numbers


def _placed(draft: Draft) -> Iterator[DraftNode]:
    """Yield the nodes with every broadcast right behind its producer."""
    copiers = {node.inputs[0]: node for node in draft.nodes if node.op is Op.BROADCAST}

    def with_copiers(node: DraftNode) -> Iterator[DraftNode]:
        yield node
        for wire in node.outputs:
            if wire in copiers:
                yield from with_copiers(copiers[wire])

    for node in draft.nodes:
        if node.op is not Op.BROADCAST:
            yield from with_copiers(node)


class _Writer:
    def __init__(self, draft: Draft, schema: Schema, owners: Mapping[int, str]) -> None:
        self.draft = draft
        self.schema = schema
        self.owners = owners

    def operator(self, number: int, node: DraftNode) -> Message:
        """Return the operator of a node."""
        write = _function if self._has_no_operator(node) else _WRITERS[node.op]
        arm, name, fields = write(self, node)
        spec = self.schema.field("Operation", arm)
        assert spec is not None
        content = self.message(spec.type, **fields)
        return self.message("Operation", name=name, id=number, **{arm: content})

    def has_signal(self, node: DraftNode) -> bool:
        """Return whether a node needs an operator that turns its coordinates into signals."""
        if node.op is not Op.REPEAT or self.schema.dialect != PUBLIC:
            return False
        kinds = self.kind(node.inputs[0]), self.kind(node.inputs[1])
        return kinds == (StreamKind.REF, StreamKind.CRD)

    def signal(self, number: int, node: DraftNode) -> Message:
        """Return the operator that makes the signals of a repeat, under the id of its output."""
        fields = {"input_crd": self.crd(node.inputs[1]), "output_rep_sig": self.repsig(node),
                  "label": f"repeatsig {node.index}", "index": node.index}  # fmt: skip
        content = self.message("RepeatSig", **fields)
        return self.message("Operation", name="repsiggen", id=number, repeatsig=content)

    def repsig(self, node: DraftNode) -> Message:
        """Return the stream of signals of a repeat; its ids are no others'."""
        inner = self.message(
            "RepSigStream.StreamID", id=max(self.draft.wires) + (node.outputs[0] or 0)
        )
        return self.message("RepSigStream", id=inner)

    def _has_no_operator(self, node: DraftNode) -> bool:
        """Return whether a node is written as a function by name."""
        if node.op is Op.REPEAT and self.schema.dialect == PUBLIC:
            return self.kind(node.inputs[0]) is StreamKind.VAL
        if isinstance(node.attrs, df.JoinAttrs) and 0 in node.attrs.payloads:
            return True
        return is_function(node, self.schema.dialect)

    def message(self, kind: str, **fields: Any) -> Message:
        """Return a message with the fields that the dialect has and that are not zero."""
        known = {field.name for field in self.schema.messages[kind]}
        kept = {
            name: value
            for name, value in fields.items()
            if name in known and (isinstance(value, Message) or value)
        }
        return Message(self.schema, kind, kept)

    def stream(self, wire: int | None, kind: StreamKind, name: str = "") -> Message:
        """Return the message of a stream; id 0 is void."""
        spelled = _STREAMS[kind]
        inner = self.message(f"{spelled}.StreamID", id=wire or 0)
        return self.message(spelled, id=inner, name=name)

    def crd(self, wire: int | None) -> Message:
        """Return a stream of coordinates."""
        return self.stream(wire, StreamKind.CRD)

    def ref(self, wire: int | None) -> Message:
        """Return a stream of references."""
        return self.stream(wire, StreamKind.REF)

    def val(self, wire: int | None) -> Message:
        """Return a stream of values."""
        return self.stream(wire, StreamKind.VAL)

    def kind(self, wire: int | None) -> StreamKind:
        """Return what a wire carries."""
        assert wire is not None
        return self.draft.wires[wire].kind

    def bundle(
        self, owner: str, kind: StreamKind, single: str, several: str
    ) -> Callable[[int | None, list[int | None]], Message]:
        """Return what makes the bundle of one stream and several of the same kind."""

        def make(one: int | None, many: list[int | None]) -> Message:
            streams = [self.stream(wire, kind) for wire in many]
            name = f"{owner}.{_STREAMS[kind].removesuffix('Stream')}Bundle"
            return self.message(name, **{single: self.stream(one, kind), several: streams})

        return make


def _root(writer: _Writer, node: DraftNode) -> Content:
    label = f"root {node.tensor}".strip()
    fields = {"label": label, "tensor": node.tensor, "output_ref": writer.ref(node.outputs[0])}
    return "root", "root", fields


def _scan(writer: _Writer, node: DraftNode) -> Content:
    return "fiber_lookup", "fiberlookup", {
        "input_ref": writer.ref(node.inputs[0]),
        "output_ref": writer.ref(node.outputs[1]),
        "output_crd": writer.crd(node.outputs[0]),
        "index": node.index,
        "tensor": node.tensor,
        "mode": node.mode,
        "format": "compressed" if node.compressed else "dense",
        "src": True,
        "label": f"fiberlookup {node.index}",
    }  # fmt: skip


def _array(writer: _Writer, node: DraftNode) -> Content:
    return "array", "arrayval", {
        "tensor": node.tensor,
        "input_ref": writer.ref(node.inputs[0]),
        "output_val": writer.val(node.outputs[0]),
        "label": f"arrayval {node.tensor}",
    }  # fmt: skip


def _join(writer: _Writer, node: DraftNode) -> Content:
    assert isinstance(node.attrs, df.JoinAttrs)
    payload = "ref" if writer.schema.dialect == PUBLIC else "in_ref"
    pairs, outputs = [], []
    ports = zip(node.inputs[::2], node.inputs[1::2], node.outputs[1:], strict=True)
    for crd, source, target in ports:
        kind = writer.kind(source)
        fields = {"crd": writer.crd(crd), payload: _payload(writer, source, kind)}
        pairs.append(writer.message("Joiner.JoinBundle", **fields))
        owner = writer.owners.get(target or 0, "")
        outputs.append(_payload(writer, target, kind, f"out_{kind}-{owner}" if owner else ""))
    title = {"intersect": "Intersect", "union": "Union"}[node.attrs.keep]
    return "joiner", "joiner", {
        "join_type": ("intersect", "union").index(node.attrs.keep),
        "input_pairs": pairs,
        "index": node.index,
        "label": f"{title} {node.index}",
        "output_refs": outputs,
        "output_crd": writer.crd(node.outputs[0]),
    }  # fmt: skip


def _payload(writer: _Writer, wire: int | None, kind: StreamKind, name: str = "") -> Message:
    stream = writer.stream(wire, kind, name)
    if writer.schema.dialect == PUBLIC:
        return stream
    return writer.message("Joiner.Payload", **{f"{_ARMS[kind]}_stream": stream})


def _repeat(writer: _Writer, node: DraftNode) -> Content:
    repeated, signal = node.inputs
    kinds = writer.kind(repeated), writer.kind(signal)
    tensor = writer.owners.get(repeated or 0, "")
    fields: dict[str, Any] = {
        "label": f"repeat {node.index}: {tensor}" if tensor else f"repeat {node.index}",
        "index": node.index,
        "tensor": tensor,
    }
    if writer.schema.dialect == PUBLIC:
        fields |= {
            "input_ref": writer.ref(repeated),
            "output_ref": writer.ref(node.outputs[0]),
        }
        if kinds[1] is StreamKind.CRD:
            fields["input_rep_sig"] = writer.repsig(node)
        else:
            fields["input_rep_ref"] = writer.ref(signal)
    else:
        arms = _ARMS[kinds[0]], _ARMS[kinds[1]]
        fields |= {
            f"in_{arms[0]}": writer.stream(repeated, kinds[0]),
            f"out_{arms[0]}": writer.stream(node.outputs[0], kinds[0]),
            f"rep_{arms[1]}": writer.stream(signal, kinds[1]),
        }
    return "repeat", "repeat", fields


def _alu(writer: _Writer, node: DraftNode) -> Content:
    assert isinstance(node.attrs, df.AluAttrs)
    op, _ = ALU_OPS[node.attrs.fn]
    operands = [writer.val(wire) for wire in node.inputs]
    vals = writer.message("ALU.Val", inputs=operands, output=writer.val(node.outputs[0]))
    number = writer.schema.enums["ALU.ALUOp"].index(op)
    stage = writer.message("ALU.Stage", inputs=list(range(len(operands))), op=number)
    scalar = node.attrs.parameters[0] if node.attrs.parameters else 0.0
    name = {"SCALARADD": "scalarAdd", "SCALARMUL": "scalarMul", "SCALARDIV": "scalarDiv"}
    shown = name.get(op, op.lower())
    fields = {"vals": vals, "stages": [stage], "label": shown, "scalar": scalar}
    return "alu", shown, fields


def _function(writer: _Writer, node: DraftNode) -> Content:
    """Spell a node as its text, with what it reads and writes: coordinates and one value."""
    ends: dict[str, Any] = {"inputs": [], "outputs": []}
    ports = zip(node.ports(), (node.inputs, node.outputs), ("input", "output"), strict=True)
    for specs, wires, side in ports:
        for port, wire in zip(specs, wires, strict=True):
            kind = function_port(port)
            if kind is StreamKind.CRD:
                ends[f"{side}s"].append(writer.crd(wire))
            elif kind is StreamKind.VAL:
                ends[f"{side}_val"] = writer.val(wire)
    return "func", "func", {"name": format_attributes(node.op, node.attrs), **ends}


def _reduce(writer: _Writer, node: DraftNode) -> Content:
    assert isinstance(node.attrs, df.ReduceAttrs)
    return "reduce", "reduce", {
        "input_val": writer.val(node.inputs[0]),
        "output_val": writer.val(node.outputs[0]),
        "label": "reduce",
        "reduce_type": ("add", "max").index(node.attrs.op),
    }  # fmt: skip


def _spacc(writer: _Writer, node: DraftNode) -> Content:
    assert isinstance(node.attrs, df.SpaccAttrs)
    order = node.attrs.order
    return "spacc", "spacc", {
        "input_inner_crd": writer.crd(node.inputs[order]),
        "output_inner_crd": writer.crd(node.outputs[order - 1]),
        "input_outer_crds": [writer.crd(wire) for wire in reversed(node.inputs[:order])],
        "input_val": writer.val(node.inputs[order + 1]),
        "output_val": writer.val(node.outputs[order]),
        "order": order,
        "inner_crd": node.index,
        "label": f"SparseAccumulator {order}",
        "output_outer_crds": [writer.crd(wire) for wire in reversed(node.outputs[: order - 1])],
    }  # fmt: skip


def _pair(arm: str, name: str) -> Callable[[_Writer, DraftNode], Content]:
    def write(writer: _Writer, node: DraftNode) -> Content:
        return arm, name, {
            "input_outer_crd": writer.crd(node.inputs[0]),
            "input_inner_crd": writer.crd(node.inputs[1]),
            "output_outer_crd": writer.crd(node.outputs[0]),
            "output_inner_crd": writer.crd(node.outputs[1]),
            "inner_crd": node.index,
            "label": name,
        }  # fmt: skip

    return write


def _locate(writer: _Writer, node: DraftNode) -> Content:
    return "locate", "locate", {
        "input_crd": writer.crd(node.inputs[0]),
        "input_ref": writer.ref(node.inputs[2]),
        "output_ref1": writer.ref(None),
        "output_ref2": writer.ref(node.outputs[1]),
        "output_crd": writer.crd(node.outputs[0]),
        "label": f"locate {node.index}",
    }  # fmt: skip


def _level_write(writer: _Writer, node: DraftNode) -> Content:
    return "fiber_write", "fiberwrite", {
        "input_crd": writer.crd(node.inputs[0]),
        "index": node.index,
        "tensor": node.tensor,
        "mode_val": str(node.mode),
        "format": "compressed" if node.compressed else "dense",
        "sink": True,
        "label": f"fiberwrite {node.index}",
    }  # fmt: skip


def _val_write(writer: _Writer, node: DraftNode) -> Content:
    return "val_write", "valwrite", {
        "input_val": writer.val(node.inputs[0]),
        "label": "valwrite",
        "tensor": node.tensor,
        "sink": True,
    }  # fmt: skip


def _broadcast(writer: _Writer, node: DraftNode) -> Content:
    kind = writer.kind(node.inputs[0])
    bundle = writer.bundle("Broadcast", kind, "input", "outputs")(node.inputs[0], node.outputs)
    return "broadcast", "broadcast", {"label": f"broadcast {kind}", _ARMS[kind]: bundle}


def _fork(writer: _Writer, node: DraftNode) -> Content:
    kind = writer.kind(node.inputs[0])
    bundle = writer.bundle("Fork", kind, "input", "outputs")(node.inputs[0], node.outputs[:-1])
    return "fork", "fork", {"label": f"fork {kind}", _ARMS[kind]: bundle}


def _gather(writer: _Writer, node: DraftNode) -> Content:
    kind = writer.kind(node.inputs[0])
    bundle = writer.bundle("Join", kind, "output", "inputs")(node.outputs[0], node.inputs[:-1])
    return "join", "join", {"label": f"join {kind}", _ARMS[kind]: bundle}


_WRITERS: Mapping[Op, Callable[[_Writer, DraftNode], Content]] = {
    Op.ROOT: _root,
    Op.SCAN: _scan,
    Op.ARRAY: _array,
    Op.JOIN: _join,
    Op.REPEAT: _repeat,
    Op.ALU: _alu,
    Op.REDUCE: _reduce,
    Op.SPACC: _spacc,
    Op.HOLD: _pair("coord_hold", "crdhold"),
    Op.DROP: _pair("coord_drop", "crddrop"),
    Op.LOCATE: _locate,
    Op.LEVEL_WRITE: _level_write,
    Op.VAL_WRITE: _val_write,
    Op.BROADCAST: _broadcast,
    Op.FORK: _fork,
    Op.GATHER: _gather,
}
