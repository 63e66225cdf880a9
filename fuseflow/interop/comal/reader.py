# SPDX-License-Identifier: MIT
"""ComalGraph -> draft: every operator as a primitive of ours, every stream id as a wire.

What the format leaves to the driver is made explicit: stream 0 as an output is void, the signal of
a repeat is the stream it names, a broadcast is a node. What the driver ignores (labels, formats of
writers, the depth of channels) is used as names only, if at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fuseflow.errors import InterchangeError
from fuseflow.interop.comal.labels import function_port, parse_attributes
from fuseflow.interop.comal.message import Message
from fuseflow.interop.comal.restore import BAR, Seal, read_seal, restore
from fuseflow.interop.comal.schema import PUBLIC
from fuseflow.interop.faults import refuse
from fuseflow.interop.graphs.draft import Draft, DraftNode, Wire
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op, StreamKind

__all__ = ["draft_graph", "readings_of"]

CRD, REF, VAL = StreamKind.CRD, StreamKind.REF, StreamKind.VAL
_KINDS = {"CrdStream": CRD, "RefStream": REF, "ValStream": VAL, "RepSigStream": CRD}
_BINARY = {"ADD": "add", "SUB": "sub", "MUL": "mul", "DIV": "div", "ELEMMUL": "mul"}
_FUNCTIONS = (Op.ALU, Op.JOIN, Op.REDUCE, Op.REPEAT, Op.SPACC, Op.VALDROP)
_UNARY = {"EXP": "exp", "SIN": "sin", "COS": "cos", "RSQRT": "rsqrt", "SIGMOID": "sigmoid"}
_SCALAR = {"MAX": "max_scalar", "SCALARADD": "add_scalar", "SCALARMUL": "mul_scalar",
           "SCALARDIV": "div_scalar"}  # fmt: skip


def draft_graph(graph: Message, *, plain: bool = False) -> Draft:
    """Return the draft of a graph: of one that we have sealed, that of the kernel it came from.

    Args:
        graph: the graph.
        plain: whether labels are to be ignored, as other tools do.

    Raises:
        InterchangeError: X001 for a label that describes no node, X003 for streams that do not
            connect one output with one input, X005 for an operator that has no primitive, or
            attributes that none has.
    """
    reader = _Reader(Draft(graph["graph"]["name"] or graph["name"] or "graph"))
    readings = reader.operators(graph)
    seal = Seal.NONE if plain else read_seal(graph)
    if seal == Seal.WHOLE:
        return restore(graph, reader.draft, readings)
    if seal == Seal.BROKEN:
        reader.draft.remarks.append(
            "the graph was changed since its labels were written: they are not used"
        )
    reader.finish()
    return reader.draft


def readings_of(graph: Message) -> list[DraftNode | None]:
    """Return the node that each operator of a graph is read as, labels aside."""
    return _Reader(Draft("")).operators(graph)


class _Reader:
    """The draft so far, and which ids have been taken at which end."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.numbers: dict[tuple[str, int], int] = {}
        self.ends: dict[str, set[int]] = {"input": set(), "output": set()}
        self.handed_on: dict[int, int] = {}
        self.node = ""

    def operators(self, graph: Message) -> list[DraftNode | None]:
        """Add all operators; return the node of each, None if it is folded into others."""
        found: list[DraftNode | None] = []
        for number, operation in enumerate(graph["graph"]["operators"], start=1):
            count = len(self.draft.nodes)
            self.operator(number, operation)
            found.append(self.draft.nodes[-1] if len(self.draft.nodes) > count else None)
        return found

    def operator(self, number: int, operation: Message) -> None:
        """Add one operator."""
        kind = operation.chosen("op") or ""
        content = operation[kind] if kind else None
        label = content["label"] if content and content.schema.field(content.type, "label") else ""
        label = label.partition(BAR)[0]
        self.node = f"{label or operation['name'] or kind or 'operator'} #{number}"
        read = _READERS.get(kind)
        if read is None or content is None:
            raise self.error("X005", f'there is no primitive for operator "{kind or self.node}"')
        read(self, content)

    def finish(self) -> None:
        """Check that every stream has both ends; drop what was folded into other nodes.

        Raises:
            InterchangeError: X003 with the node at the other end.
        """
        inputs, outputs = self.ends["input"], self.ends["output"]
        for wire in sorted(inputs ^ outputs):
            at_input = wire in inputs
            ends = [
                node.name
                for node in self.draft.nodes
                if wire in (node.inputs if at_input else node.outputs)
            ]
            missing = "is written by no node" if at_input else "is read by no node"
            self.node = ends[0] if ends else self.node
            raise self.error("X003", f"stream {self.draft.wires[wire].name} {missing}")
        for copy, source in self.handed_on.items():
            while source in self.handed_on:
                source = self.handed_on[source]
            self.draft.bypass(copy, source)
            del self.draft.wires[copy]
        self.draft.prune()

    def error(self, rule: str, message: str) -> Exception:
        """Return an error about the operator that is read."""
        return refuse(rule, message, graph=self.draft.name, node=self.node)

    def source(self, stream: Message | None, what: str) -> int:
        """Return the wire of an input."""
        if stream is None or stream["id"] is None or not stream["id"]["id"]:
            raise self.error("X003", f"its input {what} is not connected")
        return self._wire(stream, "input")

    def target(self, stream: Message | None) -> int | None:
        """Return the wire of an output, None if it is void."""
        if stream is None or stream["id"] is None or not stream["id"]["id"]:
            return None
        return self._wire(stream, "output")

    def add(
        self,
        op: Op,
        inputs: Sequence[int | None],
        outputs: Sequence[int | None],
        attrs: df.NodeAttrs | None = None,
        **details: Any,
    ) -> None:
        """Append a node."""
        node = DraftNode(op, self.node, list(inputs), list(outputs), attrs or df.NoAttrs())
        for name, value in details.items():
            setattr(node, name, value)
        self.draft.nodes.append(node)

    def _wire(self, stream: Message, end: str) -> int:
        kind, number = _KINDS[stream.type], stream["id"]["id"]
        wire = self.numbers.get((stream.type, number))
        if wire is None:
            wire = number if number not in self.draft.wires and number < 1 << 31 else self._free()
            self.numbers[stream.type, number] = wire
            self.draft.wires[wire] = Wire(kind, f"{kind} {number}")
        if wire in self.ends[end]:
            message = f"stream {kind} {number} is an {end} of another operator as well"
            raise self.error("X003", message)
        self.ends[end].add(wire)
        return wire

    def _free(self) -> int:
        return max((1 << 31, *(wire + 1 for wire in self.draft.wires)))


def _root(reader: _Reader, content: Message) -> None:
    reader.add(Op.ROOT, [], [reader.target(content["output_ref"])], tensor=content["tensor"])


def _scan(reader: _Reader, content: Message) -> None:
    reader.add(
        Op.SCAN,
        [reader.source(content["input_ref"], "reference")],
        [reader.target(content["output_crd"]), reader.target(content["output_ref"])],
        tensor=content["tensor"],
        mode=content["mode"],
        compressed=content["format"] == "compressed",
        index=content["index"],
    )


def _array(reader: _Reader, content: Message) -> None:
    _refuse_tiles(reader, content)
    inputs = [reader.source(content["input_ref"], "reference")]
    outputs = [reader.target(content["output_val"])]
    reader.add(Op.ARRAY, inputs, outputs, tensor=content["tensor"])


def _joiner(reader: _Reader, content: Message) -> None:
    keep = content.enum("join_type").lower()
    inputs: list[int | None] = []
    for pair in content["input_pairs"]:
        payload = pair["ref"] if pair.schema.dialect == PUBLIC else _payload(pair["in_ref"])
        inputs += [reader.source(pair["crd"], "coordinate"), reader.source(payload, "payload")]
    payloads = content["output_refs"]
    if content.schema.dialect != PUBLIC:
        payloads = [_payload(payload) for payload in payloads]
    outputs = [reader.target(stream) for stream in (content["output_crd"], *payloads)]
    count = len(content["input_pairs"])
    if count < 2:
        raise reader.error("X005", f"a joiner of {count} inputs joins nothing")
    attrs = df.JoinAttrs(keep, (1,) * count)
    reader.add(Op.JOIN, inputs, outputs, attrs, index=content["index"])


def _payload(payload: Message | None) -> Message | None:
    if payload is None:
        return None
    chosen = payload.chosen("stream")
    stream: Message | None = payload[chosen] if chosen else None
    return stream


def _repeat(reader: _Reader, content: Message) -> None:
    if content.schema.dialect == PUBLIC:
        signal = content["input_rep_ref"] or content["input_rep_sig"]
        read = (content["input_ref"], signal, content["output_ref"])
    else:
        names = (content.chosen(name) for name in ("input_ref", "input_rep_sig", "output_ref"))
        read = tuple(content[name] if name else None for name in names)  # type: ignore[assignment]
    repeated, signal, output = read
    inputs = [reader.source(repeated, "to repeat"), reader.source(signal, "signal")]
    reader.add(Op.REPEAT, inputs, [reader.target(output)], index=content["index"])


def _repeat_sig(reader: _Reader, content: Message) -> None:
    """Signals are the coordinates themselves: our repeats read those."""
    signal = reader.target(content["output_rep_sig"])
    source = reader.source(content["input_crd"], "coordinate")
    if signal is not None:
        reader.handed_on[signal] = source


def _alu(reader: _Reader, content: Message) -> None:
    _refuse_tiles(reader, content)
    vals = content["vals"]
    if vals is None or not content["stages"]:
        raise reader.error("X005", "an ALU over coordinates, or without a stage, cannot run")
    inputs = [reader.source(stream, "operand") for stream in vals["inputs"]]
    op = content["stages"][0].enum("op")
    fn = _BINARY.get(op) if len(inputs) == 2 else _UNARY.get(op, _SCALAR.get(op))
    if fn is None or len(inputs) not in (1, 2):
        raise reader.error("X005", f"there is no function {op} of {len(inputs)} operands")
    scalar = content["scalar"] if content.schema.field("ALU", "scalar") else 0.0
    parameters = (scalar,) if op in _SCALAR and len(inputs) == 1 else ()
    attrs = df.AluAttrs(fn, (0.0,) * len(inputs), parameters)
    reader.add(Op.ALU, inputs, [reader.target(vals["output"])], attrs)


def _function(reader: _Reader, content: Message) -> None:
    """A function by name: one of ours, spelled as `writer._function` does."""
    try:
        op, attrs = parse_attributes(content["name"])
    except InterchangeError as error:
        raise reader.error("X005", f'there is no function "{content["name"]}"') from error
    if op not in _FUNCTIONS:
        raise reader.error("X005", f"a {op} is no function")
    reads, writes = DraftNode(op, reader.node, [], [], attrs).ports()
    crds, results = iter(content["inputs"]), iter(content["outputs"])
    inputs: list[int | None] = []
    for port in reads:
        kind = function_port(port)
        stream = next(crds, None) if kind is CRD else content["input_val"]
        inputs.append(None if kind is None else reader.source(stream, port.name))
    outputs = [
        reader.target(next(results, None) if function_port(port) is CRD else content["output_val"])
        for port in writes
    ]
    reader.add(op, inputs, outputs, attrs)


def _reduce(reader: _Reader, content: Message) -> None:
    _refuse_tiles(reader, content)
    kinds = {"ADD": "add", "ADDSUM": "add", "MAX": "max"}
    name = content.enum("reduce_type") if content.schema.dialect != PUBLIC else "ADD"
    attrs = df.ReduceAttrs(kinds[name], empty=0.0 if name == "MAX" else None)
    inputs = [reader.source(content["input_val"], "value"), None]
    reader.add(Op.REDUCE, inputs, [reader.target(content["output_val"])], attrs)


def _spacc(reader: _Reader, content: Message) -> None:
    """Outer coordinates come from the inside out, the reduced one last: ours are the reverse."""
    _refuse_tiles(reader, content)
    order = content["order"] if content.schema.dialect != PUBLIC else 1
    outer = content["input_outer_crds"]
    if order < 1 or len(outer) != order:
        message = f"an accumulator of order {order} has {len(outer)} outer coordinates"
        raise reader.error("X005", message)
    keys = [reader.source(stream, "outer coordinate") for stream in reversed(outer)]
    inputs = [
        *keys,
        reader.source(content["input_inner_crd"], "inner coordinate"),
        reader.source(content["input_val"], "value"),
        None,
    ]
    kept = [reader.target(stream) for stream in content["output_outer_crds"]][: order - 1]
    kept += [None] * (order - 1 - len(kept))
    last = [reader.target(content[name]) for name in ("output_inner_crd", "output_val")]
    attrs = df.SpaccAttrs("add", order, (0,) * order)
    reader.add(Op.SPACC, inputs, [*reversed(kept), *last], attrs)


def _pair(reader: _Reader, content: Message, op: Op) -> None:
    inputs = [reader.source(content[f"input_{side}_crd"], side) for side in ("outer", "inner")]
    outputs = [reader.target(content[f"output_{side}_crd"]) for side in ("outer", "inner")]
    reader.add(op, inputs, outputs)


def _hold(reader: _Reader, content: Message) -> None:
    _pair(reader, content, Op.HOLD)


def _drop(reader: _Reader, content: Message) -> None:
    _pair(reader, content, Op.DROP)


def _locate(reader: _Reader, content: Message) -> None:
    """Its payload, an input that it hands on, stays beside our locate."""
    crd = reader.source(content["input_crd"], "coordinate")
    inputs = [crd, None]
    payload = reader.source(content["input_ref"], "payload")
    outputs = [reader.target(content["output_crd"]), reader.target(content["output_ref2"])]
    handed_on = reader.target(content["output_ref1"])
    if handed_on is not None:
        reader.handed_on[handed_on] = payload
    if outputs[1] is not None:
        reader.add(Op.LOCATE, inputs, outputs)
    elif outputs[0] is not None:
        reader.handed_on[outputs[0]] = crd


def _writer(reader: _Reader, content: Message) -> None:
    mode = content["mode_val"]
    reader.add(
        Op.LEVEL_WRITE,
        [reader.source(content["input_crd"], "coordinate")],
        [],
        tensor=content["tensor"],
        mode=int(mode) if mode.isascii() and mode.isdigit() else None,
        compressed=content["format"] != "dense",
        index=content["index"],
    )


def _val_writer(reader: _Reader, content: Message) -> None:
    inputs = [reader.source(content["input_val"], "value"), None]
    reader.add(Op.VAL_WRITE, inputs, [], tensor=content["tensor"])


def _fan_out(reader: _Reader, content: Message, attrs: Callable[[int], df.NodeAttrs]) -> None:
    bundle = content[content.chosen("conn") or "crd"]
    if bundle is None or bundle.type.endswith("RepSigBundle"):
        raise reader.error("X005", "it copies no stream of coordinates, references or values")
    inputs = [reader.source(bundle["input"], "stream")]
    outputs = [reader.target(stream) for stream in bundle["outputs"]]
    if isinstance(attrs(1), df.ForkAttrs):
        reader.add(Op.FORK, inputs, [*outputs, None], attrs(len(outputs)))
        return
    connected = [wire for wire in outputs if wire is not None]
    if connected:
        reader.add(Op.BROADCAST, inputs, connected, attrs(len(connected)))


def _broadcast(reader: _Reader, content: Message) -> None:
    _fan_out(reader, content, df.BroadcastAttrs)


def _fork(reader: _Reader, content: Message) -> None:
    _fan_out(reader, content, df.ForkAttrs)


def _join(reader: _Reader, content: Message) -> None:
    bundle = content[content.chosen("conn") or "crd"]
    if bundle is None or bundle.type.endswith("RepSigBundle"):
        raise reader.error("X005", "it gathers no stream of coordinates, references or values")
    lanes: list[int | None] = [reader.source(stream, "lane") for stream in bundle["inputs"]]
    outputs = [reader.target(bundle["output"])]
    reader.add(Op.GATHER, [*lanes, None], outputs, df.GatherAttrs(len(lanes), 0))


def _refuse_tiles(reader: _Reader, content: Message) -> None:
    """Tiles are chosen by whoever starts the simulator, the graph only mentions their side."""
    if content.schema.field(content.type, "blocked") and content["blocked"]:
        raise reader.error("X005", "graphs over tiles are not read: a graph does not say how large")


_READERS: Mapping[str, Callable[[_Reader, Message], None]] = {
    "root": _root,
    "joiner": _joiner,
    "fiber_lookup": _scan,
    "fiber_write": _writer,
    "repeat": _repeat,
    "repeatsig": _repeat_sig,
    "alu": _alu,
    "func": _function,
    "reduce": _reduce,
    "coord_hold": _hold,
    "coord_drop": _drop,
    "array": _array,
    "spacc": _spacc,
    "val_write": _val_writer,
    "broadcast": _broadcast,
    "fork": _fork,
    "join": _join,
    "locate": _locate,
}
