# SPDX-License-Identifier: MIT
"""What is legal for each primitive: its ports, their kinds and depths, its attribute record.

One table, read by the verifier, the documentation and both simulators. Ports that depend on the
attributes (joins, accumulators, lanes) are spelled out by `ports_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Node, Op, StreamKind

__all__ = ["OP_SPECS", "OpSpec", "Port", "ports_of"]

ANY = frozenset(StreamKind)
CRD = frozenset({StreamKind.CRD})
REF = frozenset({StreamKind.REF})
VAL = frozenset({StreamKind.VAL})
PAYLOAD = frozenset({StreamKind.REF, StreamKind.VAL})


@dataclass(frozen=True, slots=True)
class Port:
    """One port: its name, the stream kinds it takes, its depth relative to the node's base depth.

    The base depth is free; every port of a node must agree on it. `same_as` names an earlier port
    whose kind this one must have.
    """

    name: str
    kinds: frozenset[StreamKind]
    level: int = 0
    optional: bool = False
    same_as: str = ""


@dataclass(frozen=True, slots=True)
class OpSpec:
    """Attribute record, ports by attributes, and one line of meaning for the documentation."""

    attrs: type
    inputs: Callable[[df.NodeAttrs], tuple[Port, ...]]
    outputs: Callable[[df.NodeAttrs], tuple[Port, ...]]
    summary: str


def _fixed(*ports: Port) -> Callable[[df.NodeAttrs], tuple[Port, ...]]:
    return lambda _attrs: ports


def _join_inputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.JoinAttrs)
    ports: list[Port] = []
    for j, count in enumerate(attrs.payloads):
        ports.append(Port(f"crd{j}", CRD))
        ports += [Port(f"pay{j}_{p}", PAYLOAD) for p in range(count)]
    return tuple(ports)


def _join_outputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.JoinAttrs)
    names = [f"pay{j}_{p}" for j, count in enumerate(attrs.payloads) for p in range(count)]
    return (Port("crd", CRD), *(Port(n, PAYLOAD, same_as=n) for n in names))


def _alu_inputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.AluAttrs)
    return tuple(Port(name, VAL) for name in "ab"[: len(attrs.fills)])


def _replay_inputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.ReplayAttrs)
    return (Port("in", ANY), Port("sig", ANY, 1 - attrs.depth))


def _spacc_inputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.SpaccAttrs)
    n = attrs.order
    keys = tuple(Port(f"crd{n - j}", CRD, j) for j in range(n + 1))
    return (*keys, Port("val", VAL, n), Port("shape", ANY, -1, optional=True))


def _spacc_outputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.SpaccAttrs)
    n = attrs.order
    keys = tuple(Port(f"crd{n - 1 - j}", CRD, j) for j in range(n))
    return (*keys, Port("val", VAL, n - 1))


def _fork_outputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.ForkAttrs)
    lanes = tuple(Port(f"out{j}", ANY, same_as="in") for j in range(attrs.lanes))
    return (*lanes, Port("sel", CRD))


def _gather_inputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.GatherAttrs)
    lanes = tuple(Port(f"in{j}", ANY) for j in range(attrs.lanes))
    return (*lanes, Port("sel", CRD, -attrs.depth, optional=True))


def _broadcast_outputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.BroadcastAttrs)
    return tuple(Port(f"out{j}", ANY, same_as="in") for j in range(attrs.copies))


def _concat_inputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.ConcatAttrs)
    count = len(attrs.offsets)
    if attrs.mode == "mix":
        return tuple(Port(f"in{j}", ANY) for j in range(count))
    pairs = [(Port(f"crd{j}", CRD), Port(f"pay{j}", PAYLOAD)) for j in range(count)]
    return tuple(port for pair in pairs for port in pair)


def _concat_outputs(attrs: df.NodeAttrs) -> tuple[Port, ...]:
    assert isinstance(attrs, df.ConcatAttrs)
    if attrs.mode == "mix":
        return (Port("out", ANY, same_as="in0"),)
    count = len(attrs.offsets)
    return (Port("crd", CRD), *(Port(f"pay{j}", PAYLOAD, same_as=f"pay{j}") for j in range(count)))


_OUTER_INNER = (Port("outer", CRD), Port("inner", CRD, 1))

OP_SPECS: Mapping[Op, OpSpec] = {
    Op.ROOT: OpSpec(
        df.RootAttrs, _fixed(), _fixed(Port("ref", REF)), "emits the single reference 0"
    ),
    Op.SCAN: OpSpec(
        df.ScanAttrs,
        _fixed(Port("ref", REF)),
        _fixed(Port("crd", CRD, 1), Port("ref", REF, 1)),
        "turns each reference into the fiber below it",
    ),
    Op.FULL: OpSpec(
        df.FullAttrs,
        _fixed(Port("in", ANY)),
        _fixed(Port("crd", CRD, 1)),
        "turns each element into all coordinates of a dense index",
    ),
    Op.LOCATE: OpSpec(
        df.LocateAttrs,
        _fixed(Port("crd", CRD), Port("parent", REF, -1, optional=True)),
        _fixed(Port("crd", CRD), Port("loc", REF)),
        "computes the reference of a coordinate in a dense level",
    ),
    Op.JOIN: OpSpec(df.JoinAttrs, _join_inputs, _join_outputs, "merges ascending coordinate lists"),
    Op.REPEAT: OpSpec(
        df.NoAttrs,
        _fixed(Port("in", ANY), Port("sig", ANY, 1)),
        _fixed(Port("out", ANY, 1, same_as="in")),
        "repeats each element once per element of its signal list",
    ),
    Op.REPLAY: OpSpec(
        df.ReplayAttrs,
        _replay_inputs,
        _fixed(Port("out", ANY, 1, same_as="in")),
        "repeats whole sub-lists, once per element of the signal list",
    ),
    Op.HOLD: OpSpec(
        df.NoAttrs,
        _fixed(*_OUTER_INNER),
        _fixed(Port("outer", CRD, 1), Port("inner", CRD, 1)),
        "repeats outer coordinates over their inner lists",
    ),
    Op.DROP: OpSpec(
        df.NoAttrs,
        _fixed(*_OUTER_INNER),
        _fixed(*_OUTER_INNER),
        "removes outer elements with an empty inner list, and those lists",
    ),
    Op.MASK: OpSpec(
        df.MaskAttrs,
        _fixed(*_OUTER_INNER, Port("pay", PAYLOAD, 1, optional=True)),
        _fixed(Port("inner", CRD, 1), Port("pay", PAYLOAD, 1, same_as="pay")),
        "keeps inner elements that compare with their outer element",
    ),
    Op.VALDROP: OpSpec(
        df.ValDropAttrs,
        _fixed(Port("crd", CRD), Port("val", VAL)),
        _fixed(Port("crd", CRD), Port("val", VAL)),
        "removes entries whose value is the fill",
    ),
    Op.ARRAY: OpSpec(
        df.ArrayAttrs, _fixed(Port("ref", REF)), _fixed(Port("val", VAL)), "reads values"
    ),
    Op.ALU: OpSpec(df.AluAttrs, _alu_inputs, _fixed(Port("val", VAL)), "applies a function"),
    Op.REDUCE: OpSpec(
        df.ReduceAttrs,
        _fixed(Port("val", VAL, 1), Port("shape", ANY, optional=True)),
        _fixed(Port("val", VAL)),
        "folds each innermost list into one value",
    ),
    Op.SPACC: OpSpec(
        df.SpaccAttrs, _spacc_inputs, _spacc_outputs, "combines keyed lists over an outer index"
    ),
    Op.FORK: OpSpec(
        df.ForkAttrs, _fixed(Port("in", ANY)), _fork_outputs, "deals elements to lanes in turn"
    ),
    Op.GATHER: OpSpec(
        df.GatherAttrs, _gather_inputs, _fixed(Port("out", ANY, same_as="in0")), "undoes a fork"
    ),
    Op.BROADCAST: OpSpec(
        df.BroadcastAttrs, _fixed(Port("in", ANY)), _broadcast_outputs, "copies a stream"
    ),
    Op.CONCAT: OpSpec(df.ConcatAttrs, _concat_inputs, _concat_outputs, "appends lists"),
    Op.LEVEL_WRITE: OpSpec(
        df.LevelWriteAttrs, _fixed(Port("crd", CRD)), _fixed(), "stores a level of a result"
    ),
    Op.VAL_WRITE: OpSpec(
        df.ValWriteAttrs,
        _fixed(Port("val", VAL), Port("ref", REF, optional=True)),
        _fixed(),
        "stores the values of a result",
    ),
}


def ports_of(node: Node) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Return the input and the output ports of a node, given its attributes."""
    spec = OP_SPECS[node.op]
    return spec.inputs(node.attrs), spec.outputs(node.attrs)
