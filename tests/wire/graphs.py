"""Hypothesis strategies for the data of all stages: anything that the wire must carry."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fuseflow.ir.dataflow import (
    DataflowGraph,
    DataflowProgram,
    Node,
    NodeAttrs,
    Op,
    Stream,
    StreamKind,
)
from fuseflow.ir.einsum import Access, Einsum, EinsumGraph, Output, Role, SourceLoc, Value
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.op_specs import OP_SPECS
from fuseflow.ir.report import (
    CheckResult,
    Deadlock,
    KernelStats,
    SimulationReport,
    SimulatorStats,
    Totals,
)
from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS
from fuseflow.ir.tensor import Format, LevelFormat, Tensor, tensor_from_dense

__all__ = ["einsum_graphs", "nodes", "programs", "reports", "same"]

NAMES = st.text("abcXYZ_.αβ", min_size=1, max_size=6)
TEXTS = st.text(max_size=8)
INDICES = st.lists(st.sampled_from("ijklmn"), max_size=3).map(tuple)
SMALL = st.integers(0, 2**31)
FLOATS = st.floats(allow_nan=False)
FLOATS_32 = st.floats(width=32, allow_nan=False)
DTYPES = st.sampled_from(["float32", "int64", "bool", "float16", "uint8"])

# Words that a field takes beyond what its type says, by the name of the field.
WORDS: dict[str, st.SearchStrategy[Any]] = {
    "keep": st.sampled_from(["lt", "le", "eq", "ne", "ge", "gt"]),
    "fn": st.sampled_from(sorted(SCALAR_FUNCTIONS)),
    "op": st.sampled_from(sorted(REDUCTIONS)),
    "fold": st.sampled_from(["", *sorted(REDUCTIONS)]),
    "mode": st.sampled_from(["mix", "pad"]),
    "tile_axis": st.sampled_from(["", "rows", "cols"]),
    "profile": st.sampled_from(["comal", "native"]),
    "model": st.sampled_from(["ideal", "comal-hbm", "hbm2"]),
    "policy": st.sampled_from(["frfcfs", "fcfs"]),
    "accumulate": st.sampled_from(["f32", "f64"]),
}
JOIN_KEEPS = st.sampled_from(["intersect", "union", "left", "0110", "00010111"])


def records(cls: type, **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Instances of a dataclass, field by field from the declared types."""
    hints, chosen = typing.get_type_hints(cls), {**WORDS, **fixed}
    names = [field.name for field in dataclasses.fields(cls)]
    fields = {name: chosen[name] if name in chosen else of_type(hints[name]) for name in names}
    return st.builds(cls, **fields)


def of_type(declared: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin is types.UnionType:
        inner = next(item for item in arguments if item is not type(None))
        return st.none() | of_type(inner)
    if origin is tuple:
        return st.lists(of_type(arguments[0]), max_size=3).map(tuple)
    if dataclasses.is_dataclass(declared):
        return records(typing.cast(type, declared))
    if issubclass(declared, enum.Enum):
        return st.sampled_from(declared)
    basic = {int: SMALL, float: FLOATS, bool: st.booleans(), str: TEXTS}
    return basic[declared]


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    count = int(np.prod(shape))
    numbers = draw(st.lists(FLOATS_32, min_size=count, max_size=count))
    level = st.sampled_from([LevelFormat.DENSE, LevelFormat.COMPRESSED])
    levels = draw(st.lists(level, min_size=len(shape), max_size=len(shape)))
    order = draw(st.permutations(range(len(shape))))
    return tensor_from_dense(
        np.array(numbers, dtype=np.float32).reshape(shape),
        Format(tuple(levels), tuple(order)),
        fill=draw(st.sampled_from([0.0, -np.inf, 1.5])),
        pattern=draw(st.booleans()),
    )


@st.composite
def values(draw: st.DrawFn, name: str) -> Value:
    tensor = draw(tensors())
    role, dtype, origin = draw(st.sampled_from(Role)), draw(DTYPES), draw(TEXTS)
    shape, fmt, fill = tensor.shape, tensor.format, tensor.fill
    kept = draw(st.sampled_from(["data", "format", "nothing"]))
    return Value(
        name=name,
        shape=shape,
        role=role,
        dtype=dtype,
        format=None if kept == "nothing" else fmt,
        fill=fill,
        tensor=tensor if kept == "data" else None,
        origin=origin,
    )


@st.composite
def named_values(draw: st.DrawFn) -> list[Value]:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    return [draw(values(name)) for name in names]


@st.composite
def outputs(draw: st.DrawFn) -> Output:
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    reference = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    stored = reference if draw(st.booleans()) else None
    order = tuple(draw(st.permutations(range(3))))
    return Output(draw(NAMES), draw(NAMES), order, shape, stored)


SOURCES = st.builds(
    SourceLoc,
    op=TEXTS,
    node=TEXTS,
    file=TEXTS,
    line=SMALL,
    scopes=st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple),
)
ACCESSES = st.builds(Access, NAMES, INDICES)
EINSUMS = st.builds(
    Einsum,
    name=NAMES,
    output=ACCESSES,
    fn=WORDS["fn"],
    operands=st.lists(ACCESSES, max_size=2).map(tuple),
    reduce=st.none() | WORDS["op"],
    over=INDICES,
    parameters=st.lists(FLOATS, max_size=2).map(tuple),
    composite=TEXTS,
    sources=st.lists(SOURCES, max_size=2).map(tuple),
)


@st.composite
def einsum_graphs(draw: st.DrawFn) -> EinsumGraph:
    return EinsumGraph(
        name=draw(NAMES),
        values={value.name: value for value in draw(named_values())},
        einsums=draw(st.lists(EINSUMS, max_size=3)),
        outputs=draw(st.lists(outputs(), max_size=2)),
        notes=draw(st.lists(TEXTS, max_size=2)),
    )


def attributes(op: Op) -> st.SearchStrategy[NodeAttrs]:
    fixed = {"keep": JOIN_KEEPS} if op is Op.JOIN else {}
    return records(OP_SPECS[op].attrs, **fixed)


@st.composite
def nodes(draw: st.DrawFn, op: Op | None = None) -> Node:
    op = op or draw(st.sampled_from(Op))
    ports = st.lists(st.none() | st.integers(1, 2**31), max_size=3).map(tuple)
    attrs = draw(attributes(op))
    names = tuple(draw(st.lists(NAMES, max_size=2)))
    return Node(draw(SMALL), op, draw(TEXTS), draw(ports), draw(ports), attrs, names)


@st.composite
def streams(draw: st.DrawFn, number: int) -> Stream:
    indices = draw(INDICES)
    domains = tuple(range(len(indices)))
    capacity = draw(st.none() | SMALL)
    return Stream(
        number, draw(st.sampled_from(StreamKind)), indices, domains, draw(TEXTS), capacity
    )


@st.composite
def kernels(draw: st.DrawFn) -> DataflowGraph:
    numbers = sorted(draw(st.sets(st.integers(1, 9), max_size=3)))
    return DataflowGraph(
        name=draw(NAMES),
        nodes=draw(st.lists(nodes(), max_size=3)),
        streams={number: draw(streams(number)) for number in numbers},
        einsums=tuple(draw(st.lists(NAMES, max_size=2))),
        order=draw(INDICES),
    )


@st.composite
def programs(draw: st.DrawFn) -> DataflowProgram:
    return DataflowProgram(
        name=draw(NAMES),
        tensors={value.name: value for value in draw(named_values())},
        kernels=draw(st.lists(kernels(), max_size=2)),
        outputs=draw(st.lists(outputs(), max_size=2)),
        schedule=draw(TEXTS),
        notes=draw(st.lists(TEXTS, max_size=2)),
    )


@st.composite
def reports(draw: st.DrawFn) -> SimulationReport:
    report_op = {"op": st.sampled_from([op.value for op in Op])}
    node_type = typing.get_args(typing.get_type_hints(KernelStats)["nodes"])[0]
    node_stats = records(node_type, **report_op)
    return SimulationReport(
        name=draw(NAMES),
        hardware=draw(records(HardwareConfig)),
        kernels=draw(
            st.lists(
                records(KernelStats, nodes=st.lists(node_stats, max_size=2).map(tuple)), max_size=2
            )
        ),
        totals=draw(records(Totals)),
        check=draw(records(CheckResult)),
        outputs=draw(named_values()),
        complete=draw(st.booleans()),
        deadlock=draw(st.none() | records(Deadlock)),
        simulator=draw(st.none() | records(SimulatorStats)),
        notes=draw(st.lists(TEXTS, max_size=2)),
    )


def same(left: object, right: object) -> bool:
    """Whether two pieces of data are equal, arrays bit for bit."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return (
            left.dtype == right.dtype and left.shape == right.shape and bytes(left) == bytes(right)
        )
    if type(left) is not type(right):
        return False
    if dataclasses.is_dataclass(left):
        names = [field.name for field in dataclasses.fields(left)]
        return all(same(getattr(left, name), getattr(right, name)) for name in names)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(same(a, b) for a, b in pairs)
    return left == right
