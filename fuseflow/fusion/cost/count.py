# SPDX-License-Identifier: MIT
"""What a kernel will do, counted from the structure of its operands without running it.

Every stream gets the space that it is nested in; how many tokens it carries, what its node computes
and what it moves follow from the points of that space. Nothing here depends on values or on time.
The counts equal those of a simulation, token by token (docs/streams.md, section 4).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fuseflow.fusion.cost.bridge import MovedLevel, Side, bridge
from fuseflow.fusion.cost.levels import (
    FullLevel,
    JoinLevel,
    Keyed,
    KeyLevel,
    ScanLevel,
    keep_table,
)
from fuseflow.fusion.cost.spaces import Column, Space, Spaces, UncountedError
from fuseflow.fusion.cost.table import Ints, Keys
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowGraph, Node, Op
from fuseflow.ir.einsum import Value
from fuseflow.ir.scalar import SCALAR_FUNCTIONS
from fuseflow.ir.tensor import Level, LevelFormat, add_level

__all__ = ["KernelCounts", "NodeCounts", "Words", "count_kernel", "data_levels"]

WORD_BYTES = 4
# Rows of tables that counting one kernel may make; a second of work or two.
ROW_LIMIT = 20_000_000


@dataclass(frozen=True, slots=True)
class Where:
    """What a stream carries: the points of a space; `column` if its elements tell them apart."""

    space: Space
    column: Column | None = None
    tile: tuple[int, ...] = ()

    @property
    def nullable(self) -> bool:
        """Return True if elements may be missing."""
        return self.column is not None and self.column.nullable


@dataclass(frozen=True, slots=True)
class Words:
    """Words of 4 bytes that are moved between DRAM and the machine."""

    segments: int = 0
    coordinates: int = 0
    values: int = 0

    @property
    def bytes(self) -> int:
        """Return how many bytes that is."""
        return WORD_BYTES * (self.segments + self.coordinates + self.values)

    def __add__(self, other: Words) -> Words:
        return Words(
            self.segments + other.segments,
            self.coordinates + other.coordinates,
            self.values + other.values,
        )


NOTHING = Words()


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """What one node does.

    `tokens` are those of its deepest stream, `walked` the coordinates that it looks at; `groups`
    counts the lists that it works on as a whole.
    """

    node: Node
    values: int = 0
    stops: int = 0
    flops: int = 0
    read: Words = NOTHING
    written: Words = NOTHING
    walked: int = 0
    groups: int = 0


@dataclass(slots=True)
class KernelCounts:
    """The counts of a kernel, node by node, and the structure of what it writes."""

    kernel: DataflowGraph
    nodes: list[NodeCounts] = field(default_factory=list)
    tokens: dict[int, tuple[int, int]] = field(default_factory=dict)
    results: dict[str, tuple[Level, ...]] = field(default_factory=dict)

    @property
    def flops(self) -> int:
        """Return the scalar operations."""
        return sum(node.flops for node in self.nodes)

    @property
    def read(self) -> Words:
        """Return what is read from DRAM."""
        return sum((node.read for node in self.nodes), NOTHING)

    @property
    def written(self) -> Words:
        """Return what is written to DRAM."""
        return sum((node.written for node in self.nodes), NOTHING)

    @property
    def stream_tokens(self) -> int:
        """Return the tokens on all streams."""
        return sum(values + stops for values, stops in self.tokens.values())


def data_levels(value: Value) -> tuple[Level, ...] | None:
    """Return the levels of a tensor whose structure is known; None if it has to be computed."""
    if value.tensor is not None:
        return value.tensor.levels
    if value.format is not None and value.format.is_dense:
        sizes = (value.counts[mode] for mode in value.format.mode_order)
        return tuple(Level(LevelFormat.DENSE, size) for size in sizes)
    return None


def count_kernel(
    kernel: DataflowGraph,
    tensors: Mapping[str, Value],
    levels: Mapping[str, tuple[Level, ...]],
    limit: int = ROW_LIMIT,
) -> KernelCounts:
    """Count what a kernel does.

    Args:
        kernel: verified; nodes in topological order.
        tensors: everything that it touches.
        levels: the structure of the tensors that it reads.
        limit: how many rows of tables may be made.

    Raises:
        UncountedError: if a node's streams do not follow from structure.
        PointLimitError: if `limit` does not do.
    """
    counter = _Counter(kernel, tensors, levels, limit)
    return counter.run()


class _Counter:
    """Goes through the nodes in order; `where` has every stream made so far."""

    def __init__(
        self,
        kernel: DataflowGraph,
        tensors: Mapping[str, Value],
        levels: Mapping[str, tuple[Level, ...]],
        limit: int,
    ) -> None:
        self.kernel = kernel
        self.tensors = tensors
        self.levels = levels
        self.spaces = Spaces(limit)
        self.where: dict[int, Where] = {}
        self.bridges: dict[tuple[Space, Column], Column] = {}
        self.known_tokens: dict[Space, tuple[int, int]] = {}
        self.result = KernelCounts(kernel)
        self.rows_written: dict[str, dict[int, Where]] = {}

    def run(self) -> KernelCounts:
        for node in self.kernel.nodes:
            rule = _RULES.get(node.op)
            if rule is None:
                raise UncountedError(f"{node.op} {node.name}")
            self.result.nodes.append(rule(self, node))
        for sid, where in self.where.items():
            self.result.tokens[sid] = self._tokens(where.space)
        for name, crds in self.rows_written.items():
            made = self._written(name, crds)
            if made is not None:
                self.result.results[name] = made
        return self.result

    # Streams -----------------------------------------------------------------------------------

    def _input(self, node: Node, port: int) -> Where:
        sid = node.inputs[port]
        assert sid is not None
        return self.where[sid]

    def _put(self, node: Node, *outputs: Where) -> None:
        for sid, where in zip(node.outputs, outputs, strict=True):
            if sid is not None:
                self.where[sid] = where

    def _tokens(self, space: Space) -> tuple[int, int]:
        """Return the elements and the stops of a stream: one per list that is no other's end."""
        if space not in self.known_tokens:
            tokens = (1, 0)
            if space.parent is not None:
                lists = self.spaces.points(space.parent)
                outer = space.parent.chain()[1:]
                stops = lists + sum(map(self.spaces.empty, outer))
                tokens = (self.spaces.points(space), stops)
            self.known_tokens[space] = tokens
        return self.known_tokens[space]

    def _count(self, node: Node, space: Space, **figures: Any) -> NodeCounts:
        values, stops = self._tokens(space)
        return NodeCounts(node, values, stops, **figures)

    def _present(self, where: Where) -> int:
        if where.column is None:
            return self._tokens(where.space)[0]
        return self.spaces.present(where.column, where.space)

    # Nodes -------------------------------------------------------------------------------------

    def root(self, node: Node) -> NodeCounts:
        space = self.spaces.root
        self._put(node, Where(space, Column(space)))
        return self._count(node, space)

    def scan(self, node: Node) -> NodeCounts:
        assert isinstance(node.attrs, df.ScanAttrs)
        level = self.levels[node.attrs.tensor][node.attrs.level]
        parent = self._input(node, 0)
        made = ScanLevel(level, self._seen_from(parent.space, parent.column))
        space = Space(parent.space, made)
        made.crd = space.crd = Column(space)
        made.ref = Column(space)
        self._put(node, Where(space, made.crd), Where(space, made.ref))
        read = NOTHING
        if level.format.is_stored:
            per_list = 2 if level.format is LevelFormat.COMPRESSED else 0
            read = Words(per_list * self._present(parent), self.spaces.points(space))
        return self._count(node, space, read=read)

    def full(self, node: Node) -> NodeCounts:
        assert isinstance(node.attrs, df.FullAttrs)
        made = FullLevel(node.attrs.size)
        space = Space(self._input(node, 0).space, made)
        made.crd = space.crd = Column(space)
        self._put(node, Where(space, made.crd))
        return self._count(node, space)

    def locate(self, node: Node) -> NodeCounts:
        attrs = node.attrs
        assert isinstance(attrs, df.LocateAttrs)
        if attrs.search:
            raise UncountedError(f"{node.name} searches")
        crd = self._input(node, 0)
        assert crd.column is not None
        inputs = [crd.column]
        nullable = False
        if node.inputs[1] is not None:
            parent = self._input(node, 1)
            inputs.append(self._seen_from(crd.space, parent.column))
            nullable = parent.nullable
        column = Column(crd.space, nullable, tuple(inputs), _address(attrs))
        payloads = [self._input(node, port) for port in range(2, len(node.inputs))]
        self._put(node, crd, Where(crd.space, column), *payloads)
        return self._count(node, crd.space)

    def repeat(self, node: Node) -> NodeCounts:
        source, signal = self._input(node, 0), self._input(node, 1)
        self._put(node, Where(signal.space, source.column, source.tile))
        return self._count(node, signal.space)

    def join(self, node: Node) -> NodeCounts:
        attrs = node.attrs
        assert isinstance(attrs, df.JoinAttrs)
        ports = iter(range(len(node.inputs)))
        inputs: list[Where] = []
        payloads: list[tuple[int, Where]] = []
        for number, count in enumerate(attrs.payloads):
            inputs.append(self._input(node, next(ports)))
            payloads += [(number, self._input(node, next(ports))) for _ in range(count)]
        parent = inputs[0].space.parent
        assert parent is not None
        sides = [self._moved(each.space, parent) for each in inputs]
        keep = keep_table(attrs.keep, len(inputs))
        crds = tuple(side(each.column) for side, each in zip(sides, inputs, strict=True))
        made = JoinLevel(tuple(side.space for side in sides), crds, keep)
        space = Space(parent, made)
        made.crd = space.crd = Column(space)
        outputs = [Where(space, made.crd)]
        for number, where in payloads:
            always = all(mask >> number & 1 for mask in np.flatnonzero(keep))
            column = Column(space, nullable=where.nullable or not always)
            source = crds[number]
            if where.column is not None:
                source = sides[number](self._seen_from(inputs[number].space, where.column))
            made.payloads[column] = (number, source)
            outputs.append(Where(space, column, where.tile))
        self._put(node, *outputs)
        return self._count(node, space, walked=self._walked(made))

    def _walked(self, join: JoinLevel) -> int:
        """Return how many coordinates a join looks at: those that any input has."""
        spaces, crds = join.inputs, join.crds
        for space in spaces:
            if space.level is not None and space.level.covers:
                return self.spaces.points(space)
        total = 0
        for size in range(1, len(spaces) + 1):
            for some in itertools.combinations(range(len(spaces)), size):
                chosen = tuple(spaces[n] for n in some)
                met = chosen[0]
                if size > 1:
                    keep = keep_table("intersect", size)
                    level = JoinLevel(chosen, tuple(crds[n] for n in some), keep)
                    met = Space(chosen[0].parent, level)
                total += self.spaces.points(met) * (1 if size % 2 else -1)
        return total

    def array(self, node: Node) -> NodeCounts:
        assert isinstance(node.attrs, df.ArrayAttrs)
        value = self.tensors[node.attrs.tensor]
        ref = self._input(node, 0)
        tile = value.tile
        self._put(node, Where(ref.space, None, tile))
        is_pattern = value.tensor is not None and value.tensor.values is None
        words = 0 if is_pattern else self._present(ref) * math.prod(tile)
        return self._count(node, ref.space, read=Words(values=words))

    def alu(self, node: Node) -> NodeCounts:
        attrs = node.attrs
        assert isinstance(attrs, df.AluAttrs)
        first = self._input(node, 0)
        operands = [self._input(node, port) for port in range(len(node.inputs))]
        tile = next((each.tile for each in operands if each.tile), ())
        points, folds = math.prod(tile), 0
        if attrs.tile_op is not None:
            points = math.prod(attrs.tile_op.sizes)
            tile = tuple(attrs.tile_op.sizes[axis] for axis in attrs.tile_op.result.axes)
            folds = points if math.prod(tile) < points else 0
        self._put(node, Where(first.space, None, tile))
        each = SCALAR_FUNCTIONS[attrs.fn].flops * points + folds
        return self._count(node, first.space, flops=each * self._tokens(first.space)[0])

    def reduce(self, node: Node) -> NodeCounts:
        value = self._input(node, 0)
        assert value.space.parent is not None
        self._put(node, Where(value.space.parent, None, value.tile))
        flops = self._present(value) * math.prod(value.tile)
        lists = self.spaces.points(value.space.parent)
        return self._count(node, value.space, flops=flops, groups=lists)

    def spacc(self, node: Node) -> NodeCounts:
        attrs = node.attrs
        assert isinstance(attrs, df.SpaccAttrs)
        order = attrs.order
        crds = [self._input(node, port) for port in range(order + 1)]
        value = self._input(node, order + 1)
        inner = crds[-1].space
        chain = inner.chain()
        outer = chain[-2 - order]
        keys = inner.coordinates()[-order:]
        keyed = Keyed(self.spaces, outer, inner, keys, attrs.full)
        outputs: list[Where] = []
        space, above = outer, None
        for number in range(order):
            level = KeyLevel(keyed, number, above)
            space = Space(space, level)
            level.crd = space.crd = Column(space)
            level.ref = Column(space)
            above = level.ref
            outputs.append(Where(space, level.crd))
        self._put(node, *outputs, Where(space, None, value.tile))
        flops = self._present(value) * math.prod(value.tile)
        ends = sum(self.spaces.points(space) for space in chain[-1 - order : -1])
        groups = self._tokens(chain[-1 - order])[1]
        return self._count(node, inner, flops=flops, groups=groups, walked=ends)

    def broadcast(self, node: Node) -> NodeCounts:
        source = self._input(node, 0)
        self._put(node, *(source for _ in node.outputs))
        return self._count(node, source.space)

    def level_write(self, node: Node) -> NodeCounts:
        attrs = node.attrs
        assert isinstance(attrs, df.LevelWriteAttrs)
        crd = self._input(node, 0)
        self.rows_written.setdefault(attrs.tensor, {})[attrs.level] = crd
        fmt = self.tensors[attrs.tensor].format
        assert fmt is not None
        assert crd.space.parent is not None
        written = NOTHING
        lists = self.spaces.points(crd.space.parent)
        if fmt.levels[attrs.level].is_stored:
            written = Words(lists + 1, self.spaces.points(crd.space))
        return self._count(node, crd.space, written=written, groups=lists)

    def val_write(self, node: Node) -> NodeCounts:
        value = self._input(node, 0)
        words = self._tokens(value.space)[0] * math.prod(value.tile)
        return self._count(node, value.space, written=Words(values=words))

    # Loops that are equal but made by different nodes -------------------------------------------

    def _seen_from(self, space: Space, column: Column | None) -> Column:
        """Return a column as points of a space have it, if it belongs to an equal nest."""
        assert column is not None
        chain = space.chain()
        if column.home in chain:
            return column
        if column.home.depth > space.depth:
            raise UncountedError("streams of different loops meet")
        place = chain[column.home.depth]
        if (place, column) not in self.bridges:
            self.bridges[place, column] = bridge(self.spaces, column, place)
        return self.bridges[place, column]

    def _moved(self, space: Space, parent: Space) -> Side:
        """Return a space as one inside `parent`, which has the same points as its own parent."""
        if space.parent is parent:
            return Side(space)
        made = MovedLevel(space, lambda column: self._seen_from(parent, column))
        return Side(Space(parent, made), made)

    # Results -----------------------------------------------------------------------------------

    def _written(self, name: str, crds: Mapping[int, Where]) -> tuple[Level, ...] | None:
        """Return the structure of a tensor that the kernel writes, if others cannot tell it."""
        value = self.tensors[name]
        if data_levels(value) is not None:
            return data_levels(value)
        assert value.format is not None
        spaces = crds[len(value.format.levels) - 1].space.chain()[1:]
        columns = spaces[-1].coordinates()
        sizes = [value.counts[mode] for mode in value.format.mode_order]
        levels: list[Level] = []
        before: list[Ints] = []
        position, parents = np.zeros(1, dtype=np.int64), 1
        for number, (fmt, size) in enumerate(zip(value.format.levels, sizes, strict=True)):
            rows = self.spaces.rows(spaces[number], columns[: number + 1])
            now = [rows.columns[column] for column in columns[: number + 1]]
            keys = Keys.of(before)
            known = keys.encode(before, len(position))
            place = position[np.searchsorted(known, keys.encode(now[:-1], len(rows)))]
            order = np.lexsort(now[::-1])
            before = [column[order] for column in now]
            level, position = add_level(fmt, size, place[order], before[-1], parents)
            parents = level.positions(parents)
            levels.append(level)
        return tuple(levels)


def _address(attrs: df.LocateAttrs) -> Callable[[Sequence[Ints]], Ints]:
    """Return the address arithmetic of a dense level; missing below a missing parent."""

    def derive(inputs: Sequence[Ints]) -> Ints:
        crd = inputs[0] * attrs.stride + attrs.base
        if len(inputs) == 1:
            return crd
        parent = inputs[1]
        return np.where(parent >= 0, parent * attrs.parent_stride + crd, -1)

    return derive


_RULES: Mapping[Op, Callable[[_Counter, Node], NodeCounts]] = {
    Op.ROOT: _Counter.root,
    Op.SCAN: _Counter.scan,
    Op.FULL: _Counter.full,
    Op.LOCATE: _Counter.locate,
    Op.JOIN: _Counter.join,
    Op.REPEAT: _Counter.repeat,
    Op.ARRAY: _Counter.array,
    Op.ALU: _Counter.alu,
    Op.REDUCE: _Counter.reduce,
    Op.SPACC: _Counter.spacc,
    Op.BROADCAST: _Counter.broadcast,
    Op.LEVEL_WRITE: _Counter.level_write,
    Op.VAL_WRITE: _Counter.val_write,
}
