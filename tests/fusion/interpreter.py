# SPDX-License-Identifier: MIT
"""Runs dataflow programs on nested lists: no tokens, no time, one list function per primitive.

A stream of depth d is a d-deep list, a missing element is None. This is an oracle for lowering
that shares nothing with the simulators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram, Node, Op
from fuseflow.ir.einsum import Value
from fuseflow.ir.scalar import REDUCTIONS, apply_scalar, fold_fill
from fuseflow.ir.tensor import Level, LevelFormat, Tensor

Nested = Any
Tensors = dict[str, Tensor]
Lists = Sequence[Nested]


def run_program(program: DataflowProgram) -> dict[str, np.ndarray]:
    """Run all kernels; return the outputs as the user sees them, by name."""
    tensors = {n: v.tensor for n, v in program.tensors.items() if v.tensor is not None}
    for kernel in program.kernels:
        tensors |= run_kernel(kernel, tensors, program.tensors)
    return {out.name: out.view(tensors[out.value].to_dense()) for out in program.outputs}


def run_kernel(
    kernel: DataflowGraph, tensors: dict[str, Tensor], values: dict[str, Value]
) -> dict[str, Tensor]:
    """Run one kernel; return the tensors it writes."""
    streams: dict[int, Nested] = {}
    levels: dict[tuple[str, int], Nested] = {}
    data: dict[str, Nested] = {}
    for node in kernel.nodes:
        inputs = [None if sid is None else streams[sid] for sid in node.inputs]
        if isinstance(node.attrs, df.LevelWriteAttrs):
            levels[node.attrs.tensor, node.attrs.level] = inputs[0]
        elif isinstance(node.attrs, df.ValWriteAttrs):
            data[node.attrs.tensor] = (inputs[0], node.attrs.fill)
        else:
            first = node.inputs[0] if node.inputs else None
            depth = 0 if first is None else kernel.streams[first].depth
            outputs = _RULES[node.op](node, inputs, tensors, depth)
            pairs = zip(node.outputs, outputs, strict=True)
            streams |= {sid: stream for sid, stream in pairs if sid is not None}
    return {name: _store(values[name], levels, *data[name]) for name in data}


def _store(value: Value, levels: dict[tuple[str, int], Nested], val: Nested, fill: float) -> Tensor:
    assert value.format is not None
    fmt, built = value.format, []
    for number, (kind, mode) in enumerate(zip(fmt.levels, fmt.mode_order, strict=True)):
        fibers = _fibers(levels[value.name, number], number)
        size = value.shape[mode]
        if kind is LevelFormat.DENSE:
            assert all(fiber == list(range(size)) for fiber in fibers), (value.name, number)
            built.append(Level(kind, size))
        else:
            assert all(fiber == sorted(set(fiber)) for fiber in fibers)
            segments = np.cumsum([0, *map(len, fibers)])
            coordinates = np.array([c for fiber in fibers for c in fiber], dtype=np.int64)
            built.append(Level(kind, size, segments, coordinates))
    flat = np.array([fill if v is None else v for v in _flatten(val)], dtype=np.float32)
    tensor = Tensor(value.shape, tuple(built), fmt.mode_order, flat, fill)
    assert tensor.stored == len(flat), value.name
    return tensor


def _fibers(stream: Nested, depth: int) -> list[list[int]]:
    return [stream] if depth == 0 else [f for child in stream for f in _fibers(child, depth - 1)]


def _flatten(stream: Nested) -> list[Nested]:
    if not isinstance(stream, list):
        return [stream]
    return [x for child in stream for x in _flatten(child)]


def _each(function: Callable[..., Nested], depth: int, *streams: Nested) -> Nested:
    """Apply a function `depth` levels down, in step over all streams."""
    if depth == 0:
        return function(*streams)
    assert len({len(s) for s in streams}) == 1, "streams of different shape"
    return [_each(function, depth - 1, *children) for children in zip(*streams, strict=True)]


def _elementwise(function: Callable[..., Nested], *streams: Nested) -> Nested:
    if isinstance(streams[0], list):
        assert len({len(s) for s in streams}) == 1, "streams of different shape"
        return [_elementwise(function, *rows) for rows in zip(*streams, strict=True)]
    assert not any(isinstance(s, list) for s in streams)
    return function(*streams)


def _split(pairs: Nested, count: int) -> tuple[Nested, ...]:
    """Turn a list of tuples of lists into a tuple of lists, below any nesting."""
    if isinstance(pairs, tuple):
        return pairs
    columns = [_split(pair, count) for pair in pairs]
    return tuple([column[k] for column in columns] for k in range(count))


def _root(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    return (0,)


def _scan(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    assert isinstance(node.attrs, df.ScanAttrs)
    level = tensors[node.attrs.tensor].levels[node.attrs.level]
    segments, coordinates = level.segments, level.coordinates
    assert segments is not None
    assert coordinates is not None

    def fiber(ref: int | None) -> tuple[list[int], list[int]]:
        if ref is None:
            return [], []
        positions = range(segments[ref], segments[ref + 1])
        return [int(coordinates[p]) for p in positions], list(positions)

    return _split(_elementwise(fiber, inputs[0]), 2)


def _full(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    assert isinstance(node.attrs, df.FullAttrs)
    size = node.attrs.size
    return (_elementwise(lambda _: list(range(size)), inputs[0]),)


def _locate(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    a = node.attrs
    assert isinstance(a, df.LocateAttrs)

    def place(parent: int | None, crds: Nested) -> Nested:
        if parent is None:
            return _elementwise(lambda _: None, crds)
        return _elementwise(lambda c: parent * a.parent_stride + c * a.stride + a.base, crds)

    if inputs[1] is None:
        return inputs[0], place(0, inputs[0])
    return inputs[0], _zip_inner(place, inputs[1], inputs[0])


def _zip_inner(function: Callable[..., Nested], outer: Nested, inner: Nested) -> Nested:
    """Apply a function to each outer element and the inner list in its place."""
    if isinstance(outer, list):
        assert len(outer) == len(inner), "streams of different shape"
        return [_zip_inner(function, o, i) for o, i in zip(outer, inner, strict=True)]
    assert isinstance(inner, list)
    return function(outer, inner)


def _join(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    a = node.attrs
    assert isinstance(a, df.JoinAttrs)
    heads = [sum(1 + c for c in a.payloads[:j]) for j in range(len(a.payloads))]
    keeps: dict[str, Callable[[list[bool]], bool]] = {
        "intersect": all,
        "union": any,
        "left": lambda p: p[0],
    }
    keep = keeps.get(a.keep) or (lambda p: a.keep[sum(b << j for j, b in enumerate(p))] == "1")

    def merge(*lists: list[int]) -> tuple[list[Nested], ...]:
        found = [dict(zip(lists[h], range(len(lists[h])), strict=True)) for h in heads]
        crds = [c for c in sorted(set().union(*found)) if keep([c in f for f in found])]
        columns: list[list[Nested]] = [crds]
        for j, count in enumerate(a.payloads):
            where = [found[j].get(c) for c in crds]
            payloads = lists[heads[j] + 1 : heads[j] + 1 + count]
            columns += [[None if w is None else col[w] for w in where] for col in payloads]
        return tuple(columns)

    return _split(_each(merge, depth - 1, *inputs), 1 + sum(a.payloads))


def _repeat(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    return (_zip_inner(lambda x, sig: [x] * len(sig), inputs[0], inputs[1]),)


def _array(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    assert isinstance(node.attrs, df.ArrayAttrs)
    fill, values = node.attrs.fill, tensors[node.attrs.tensor].values

    def read(ref: int | None) -> float:
        if ref is None:
            return fill
        return 1.0 if values is None else float(values[ref])

    return (_elementwise(read, inputs[0]),)


def _alu(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    a = node.attrs
    assert isinstance(a, df.AluAttrs)

    def apply(*operands: float | None) -> float:
        filled = (f if x is None else x for x, f in zip(operands, a.fills, strict=True))
        return float(apply_scalar(a.fn, tuple(filled), a.parameters))

    return (_elementwise(apply, *inputs),)


def _fold(op: str, values: Sequence[float], fill: float, extent: int | None) -> float:
    row = REDUCTIONS[op]
    rest = 0 if extent is None else extent - len(values)
    assert rest >= 0
    with np.errstate(all="ignore"):
        total = np.float32(row.identity)
        for value in [*values, *([fold_fill(op, fill, rest)] if rest else [])]:
            total = row.ufunc(total, np.float32(value))
    return float(total)


def _reduce(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    a = node.attrs
    assert isinstance(a, df.ReduceAttrs)

    def fold(values: list[float | None]) -> float:
        return _fold(a.op, [a.fill if v is None else v for v in values], a.fill, a.extent)

    return (_each(fold, depth - 1, inputs[0]),)


def _spacc(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    a = node.attrs
    assert isinstance(a, df.SpaccAttrs)
    n = a.order

    def leaves(crds: Lists, val: Nested, key: tuple[int, ...]) -> list[tuple[tuple[int, ...], Any]]:
        if not crds:
            return [(key, a.fill if val is None else val)]
        assert len(crds[0]) == len(val)
        return [
            leaf
            for p, c in enumerate(crds[0])
            for leaf in leaves([x[p] for x in crds[1:]], val[p], (*key, c))
        ]

    def accumulate(*lists: Nested) -> tuple[Nested, ...]:
        table: dict[tuple[int, ...], list[float]] = {}
        for key, value in leaves(lists[: n + 1], lists[n + 1], ()):
            table.setdefault(key[1:], []).append(value)
        return tuple(_emit_keys(a, table))

    return _split(_each(accumulate, depth - 1, *inputs[: n + 2]), n + 1)


def _emit_keys(a: df.SpaccAttrs, table: dict[tuple[int, ...], list[float]]) -> list[Nested]:
    def total(key: tuple[int, ...]) -> float:
        if key not in table:
            return a.missing if a.extent is None else fold_fill(a.op, a.fill, a.extent)
        return _fold(a.op, table[key], a.fill, a.extent)

    def keys(prefix: tuple[int, ...]) -> list[int]:
        level = len(prefix)
        if a.full[level]:
            return list(range(a.full[level]))
        return sorted({key[level] for key in table if key[:level] == prefix})

    def crds(level: int, prefix: tuple[int, ...]) -> Nested:
        here = keys(prefix)
        return here if level == 0 else [crds(level - 1, (*prefix, k)) for k in here]

    def vals(prefix: tuple[int, ...]) -> Nested:
        if len(prefix) == a.order:
            return total(prefix)
        return [vals((*prefix, k)) for k in keys(prefix)]

    return [*(crds(level, ()) for level in range(a.order)), vals(())]


def _broadcast(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    return tuple(inputs[0] for _ in node.outputs)


def _fork(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    assert isinstance(node.attrs, df.ForkAttrs)
    lanes = node.attrs.lanes
    dealt = [_each(lambda x, p=p: x[p::lanes], depth - 1, inputs[0]) for p in range(lanes)]
    turns = _each(lambda x: [n % lanes for n in range(len(x))], depth - 1, inputs[0])
    return (*dealt, turns)


def _gather(node: Node, inputs: Lists, tensors: Tensors, depth: int) -> Lists:
    assert isinstance(node.attrs, df.GatherAttrs)

    def take_turns(*lanes: list[Nested]) -> list[Nested]:
        total = sum(map(len, lanes))
        return [lanes[n % len(lanes)][n // len(lanes)] for n in range(total)]

    return (_each(take_turns, depth - 1 - node.attrs.depth, *inputs[: node.attrs.lanes]),)


_RULES: dict[Op, Callable[[Node, Lists, Tensors, int], Lists]] = {
    Op.ROOT: _root,
    Op.SCAN: _scan,
    Op.FULL: _full,
    Op.LOCATE: _locate,
    Op.JOIN: _join,
    Op.REPEAT: _repeat,
    Op.ARRAY: _array,
    Op.ALU: _alu,
    Op.REDUCE: _reduce,
    Op.SPACC: _spacc,
    Op.BROADCAST: _broadcast,
    Op.FORK: _fork,
    Op.GATHER: _gather,
}
