# SPDX-License-Identifier: MIT
"""What a kernel will do, counted from the structure of its operands without running it.

Every stream gets the space that it is nested in; how many tokens it carries, what its node computes
and what it moves follow from the points of that space. Nothing here depends on values or on time.
The counts equal those of a simulation, token by token (docs/streams.md, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fuseflow.fusion.cost.bridge import MovedLevel, Side, bridge
from fuseflow.fusion.cost.figures import (
    NOTHING,
    KernelCounts,
    NodeCounts,
    Where,
    Words,
    data_levels,
)
from fuseflow.fusion.cost.levels import (
    FullLevel,
    JoinLevel,
    Keyed,
    KeyLevel,
    ScanLevel,
    coordinates_of_any,
    keep_table,
)
from fuseflow.fusion.cost.spaces import Column, Lanes, Space, Spaces, UncountedError
from fuseflow.fusion.cost.table import Ints, Keys
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowGraph, Node, Op
from fuseflow.ir.einsum import Value
from fuseflow.ir.scalar import SCALAR_FUNCTIONS
from fuseflow.ir.tensor import Level, LevelFormat, add_level

__all__ = ["Structure", "count_kernel"]

# Rows of tables that counting one kernel may make; a second of work or two.
ROW_LIMIT = 20_000_000


@dataclass(slots=True)
class Structure:
    """What is known of the loop nests over some tensors; kernels that read them may share it.

    `levels` is the structure of the tensors that are read. Equal nodes make equal spaces, in
    whatever kernel and whatever lane they are, so that what was counted once is known.
    """

    tensors: Mapping[str, Value]
    levels: Mapping[str, tuple[Level, ...]]
    limit: int = ROW_LIMIT
    spaces: Spaces = field(init=False)
    made: dict[Hashable, tuple[Where, ...]] = field(default_factory=dict)
    bridges: dict[tuple[Space, Column], Column] = field(default_factory=dict)
    dealt: dict[tuple[Space, int], Column] = field(default_factory=dict)
    tokens: dict[tuple[Space, Lanes], tuple[int, int]] = field(default_factory=dict)
    unions: dict[Space, list[tuple[int, Space]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spaces = Spaces(self.limit)

    def lane_of(self, space: Space, lanes: int) -> Column:
        """Return the lane of every element of a space that is dealt to so many."""
        return self.dealt.setdefault((space, lanes), Column(space, dealt=lanes))


def count_kernel(kernel: DataflowGraph, structure: Structure) -> KernelCounts:
    """Count what a kernel does.

    Args:
        kernel: verified; nodes in topological order.
        structure: of everything that it touches.

    Raises:
        UncountedError: if a node's streams do not follow from structure.
        PointLimitError: if the limit does not do.
    """
    structure.spaces.spent = 0
    return _Counter(kernel, structure).run()


class _Counter:
    """Goes through the nodes in order; `where` has every stream made so far."""

    def __init__(self, kernel: DataflowGraph, structure: Structure) -> None:
        self.kernel = kernel
        self.structure = structure
        self.spaces = structure.spaces
        self.where: dict[int, Where] = {}
        self.result = KernelCounts(kernel)
        self.rows_written: dict[str, dict[int, Where]] = {}

    def run(self) -> KernelCounts:
        for node in self.kernel.nodes:
            rule = _RULES.get(node.op)
            if rule is None:
                raise UncountedError(f"{node.op} {node.name}")
            self.result.nodes.append(rule(self, node))
        for sid, where in self.where.items():
            self.result.tokens[sid] = self._tokens(where)
            self.result.spaces[sid] = where.space
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

    def _once(
        self, node: Node, lanes: Lanes, make: Callable[[], tuple[Where, ...]]
    ) -> tuple[Where, ...]:
        """Put what a node makes, in its lanes; nodes that do the same to the same make it once."""
        inputs = (None if sid is None else self.where[sid] for sid in node.inputs)
        read = (None if each is None else (each.space, each.column, each.tile) for each in inputs)
        key = (node.op, node.attrs, *read)
        if key not in self.structure.made:
            self.structure.made[key] = make()
        outputs = tuple(replace(each, lanes=lanes) for each in self.structure.made[key])
        self._put(node, *outputs)
        return outputs

    def _tokens(self, where: Where) -> tuple[int, int]:
        """Return the elements and the stops of a stream: one per list that is no other's end."""
        space, lanes = where.space, where.lanes
        known = self.structure.tokens
        if (space, lanes) not in known:
            tokens = (1, 0)
            if space.parent is not None:
                lists = self.spaces.points(space.parent, _around(space.parent, lanes))
                outer = space.parent.chain()[1:]
                stops = lists + sum(self.spaces.empty(s, _around(s, lanes)) for s in outer)
                tokens = (self.spaces.points(space, lanes), stops)
            known[space, lanes] = tokens
        return known[space, lanes]

    def _lists(self, where: Where) -> int:
        """Return how many innermost lists a stream has."""
        parent = where.space.parent
        assert parent is not None
        return self.spaces.points(parent, _around(parent, where.lanes))

    def _count(self, node: Node, where: Where, **figures: Any) -> NodeCounts:
        values, stops = self._tokens(where)
        return NodeCounts(node, values, stops, **figures)

    def _present(self, where: Where) -> int:
        if where.column is None:
            return self._tokens(where)[0]
        return self.spaces.present(where.column, where.space, where.lanes)

    # Nodes -------------------------------------------------------------------------------------

    def root(self, node: Node) -> NodeCounts:
        space = self.spaces.root
        (where,) = self._once(node, (), lambda: (Where(space, Column(space)),))
        return self._count(node, where)

    def scan(self, node: Node) -> NodeCounts:
        assert isinstance(node.attrs, df.ScanAttrs)
        level = self.structure.levels[node.attrs.tensor][node.attrs.level]
        parent = self._input(node, 0)

        def make() -> tuple[Where, ...]:
            made = ScanLevel(level, self._seen_from(parent.space, parent.column))
            space = Space(parent.space, made)
            made.crd = space.crd = Column(space)
            made.ref = Column(space)
            return Where(space, made.crd), Where(space, made.ref)

        where, _ = self._once(node, parent.lanes, make)
        read = NOTHING
        if level.format.is_stored:
            per_list = 2 if level.format is LevelFormat.COMPRESSED else 0
            read = Words(per_list * self._present(parent), self._tokens(where)[0])
        return self._count(node, where, read=read)

    def full(self, node: Node) -> NodeCounts:
        assert isinstance(node.attrs, df.FullAttrs)
        size, parent = node.attrs.size, self._input(node, 0)

        def make() -> tuple[Where, ...]:
            made = FullLevel(size)
            space = Space(parent.space, made)
            made.crd = space.crd = Column(space)
            return (Where(space, made.crd),)

        (where,) = self._once(node, parent.lanes, make)
        return self._count(node, where)

    def locate(self, node: Node) -> NodeCounts:
        attrs = node.attrs
        assert isinstance(attrs, df.LocateAttrs)
        if attrs.search:
            raise UncountedError(f"{node.name} searches")
        crd = self._input(node, 0)
        parent = None if node.inputs[1] is None else self._input(node, 1)
        payloads = [self._input(node, port) for port in range(2, len(node.inputs))]

        def make() -> tuple[Where, ...]:
            assert crd.column is not None
            inputs = [crd.column]
            if parent is not None:
                inputs.append(self._seen_from(crd.space, parent.column))
            nullable = parent is not None and parent.nullable
            column = Column(crd.space, nullable, tuple(inputs), _address(attrs))
            return crd, Where(crd.space, column), *payloads

        self._once(node, crd.lanes, make)
        return self._count(node, crd)

    def repeat(self, node: Node) -> NodeCounts:
        source, signal = self._input(node, 0), self._input(node, 1)
        self._put(node, Where(signal.space, source.column, source.tile, signal.lanes))
        return self._count(node, signal)

    def join(self, node: Node) -> NodeCounts:
        attrs = node.attrs
        assert isinstance(attrs, df.JoinAttrs)
        first = self._input(node, 0)
        where, *_ = self._once(node, first.lanes, lambda: self._joined(node, attrs))
        return self._count(node, where, walked=self._walked(where))

    def _joined(self, node: Node, attrs: df.JoinAttrs) -> tuple[Where, ...]:
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
        return tuple(outputs)

    def _walked(self, joined: Where) -> int:
        """Return how many coordinates a join looks at: those that any input has."""
        known = self.structure.unions
        if joined.space not in known:
            assert isinstance(joined.space.level, JoinLevel)
            known[joined.space] = list(coordinates_of_any(joined.space.level))
        return sum(
            sign * self.spaces.points(space, joined.lanes) for sign, space in known[joined.space]
        )

    def array(self, node: Node) -> NodeCounts:
        assert isinstance(node.attrs, df.ArrayAttrs)
        value = self.structure.tensors[node.attrs.tensor]
        ref = self._input(node, 0)
        tile = value.tile
        self._put(node, Where(ref.space, None, tile, ref.lanes))
        is_pattern = value.tensor is not None and value.tensor.values is None
        words = 0 if is_pattern else self._present(ref) * math.prod(tile)
        return self._count(node, ref, read=Words(values=words), latency=math.prod(tile))

    def alu(self, node: Node) -> NodeCounts:
        attrs = node.attrs
        assert isinstance(attrs, df.AluAttrs)
        first = self._input(node, 0)
        operands = [self._input(node, port) for port in range(len(node.inputs))]
        tile = next((each.tile for each in operands if each.tile), ())
        points, folds, ticks = math.prod(tile), 0, 1
        if attrs.tile_op is not None:
            tile, points = attrs.tile_op.shape, math.prod(attrs.tile_op.sizes)
            ticks = attrs.tile_op.folded
            folds = points if math.prod(tile) < points else 0
        self._put(node, Where(first.space, None, tile, first.lanes))
        each = SCALAR_FUNCTIONS[attrs.fn].flops * points + folds
        return self._count(
            node,
            first,
            flops=each * self._tokens(first)[0],
            ticks=ticks,
            latency=_latency(attrs, tile),
        )

    def reduce(self, node: Node) -> NodeCounts:
        value = self._input(node, 0)
        assert value.space.parent is not None
        self._put(node, Where(value.space.parent, None, value.tile, value.lanes))
        flops = self._present(value) * math.prod(value.tile)
        return self._count(
            node, value, flops=flops, groups=self._lists(value), latency=math.prod(value.tile)
        )

    def spacc(self, node: Node) -> NodeCounts:
        attrs = node.attrs
        assert isinstance(attrs, df.SpaccAttrs)
        order = attrs.order
        innermost, value = self._input(node, order), self._input(node, order + 1)
        chain = innermost.space.chain()
        self._once(node, value.lanes, lambda: self._accumulated(innermost.space, value, attrs))
        flops = self._present(value) * math.prod(value.tile)
        lanes = value.lanes
        ends = sum(self.spaces.points(s, _around(s, lanes)) for s in chain[-1 - order : -1])
        lists = Where(chain[-1 - order], lanes=_around(chain[-1 - order], lanes))
        groups = self._tokens(lists)[1]
        return self._count(
            node, replace(value, space=innermost.space), flops=flops, groups=groups, walked=ends
        )

    def _accumulated(self, inner: Space, value: Where, attrs: df.SpaccAttrs) -> tuple[Where, ...]:
        outer = inner.chain()[-2 - attrs.order]
        keyed = Keyed(self.spaces, outer, inner, inner.coordinates()[-attrs.order :], attrs.full)
        outputs: list[Where] = []
        space, above = outer, None
        for number in range(attrs.order):
            level = KeyLevel(keyed, number, above)
            space = Space(space, level)
            level.crd = space.crd = Column(space)
            level.ref = Column(space)
            above = level.ref
            outputs.append(Where(space, level.crd))
        return *outputs, Where(space, None, value.tile)

    def broadcast(self, node: Node) -> NodeCounts:
        source = self._input(node, 0)
        self._put(node, *(source for _ in node.outputs))
        return self._count(node, source)

    def fork(self, node: Node) -> NodeCounts:
        assert isinstance(node.attrs, df.ForkAttrs)
        source, lanes = self._input(node, 0), node.attrs.lanes
        column = self.structure.lane_of(source.space, lanes)
        if any(dealt.home is source.space for dealt, _ in source.lanes):
            raise UncountedError(f"{node.name} deals what has been dealt")
        dealt = (replace(source, lanes=(*source.lanes, (column, lane))) for lane in range(lanes))
        self._put(node, *dealt, replace(source, column=None))
        return self._count(node, source)

    def gather(self, node: Node) -> NodeCounts:
        """Undo a fork; what was done in the lanes has made the same spaces in all of them."""
        assert isinstance(node.attrs, df.GatherAttrs)
        lanes = [self._input(node, port) for port in range(node.attrs.lanes)]
        first = lanes[0]
        home = first.space.chain()[-1 - node.attrs.depth]
        column = self.structure.lane_of(home, node.attrs.lanes)
        whole = {
            replace(each, lanes=tuple(pair for pair in each.lanes if pair != (column, lane)))
            for lane, each in enumerate(lanes)
        }
        if len(whole) > 1 or any((column, n) not in each.lanes for n, each in enumerate(lanes)):
            raise UncountedError(f"{node.name} gathers what was not dealt alike")
        (where,) = whole
        self._put(node, where)
        return self._count(node, where)

    def level_write(self, node: Node) -> NodeCounts:
        attrs = node.attrs
        assert isinstance(attrs, df.LevelWriteAttrs)
        crd = self._input(node, 0)
        self.rows_written.setdefault(attrs.tensor, {})[attrs.level] = crd
        fmt = self.structure.tensors[attrs.tensor].format
        assert fmt is not None
        written = NOTHING
        lists = self._lists(crd)
        if fmt.levels[attrs.level].is_stored:
            written = Words(lists + 1, self._tokens(crd)[0])
        return self._count(node, crd, written=written, groups=lists)

    def val_write(self, node: Node) -> NodeCounts:
        value = self._input(node, 0)
        words = self._tokens(value)[0] * math.prod(value.tile)
        return self._count(node, value, written=Words(values=words))

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
        known = self.structure.bridges
        if (place, column) not in known:
            known[place, column] = bridge(self.spaces, column, place)
        return known[place, column]

    def _moved(self, space: Space, parent: Space) -> Side:
        """Return a space as one inside `parent`, which has the same points as its own parent."""
        if space.parent is parent:
            return Side(space)
        made = MovedLevel(space, lambda column: self._seen_from(parent, column))
        return Side(Space(parent, made), made)

    # Results -----------------------------------------------------------------------------------

    def _written(self, name: str, crds: Mapping[int, Where]) -> tuple[Level, ...] | None:
        """Return the structure of a tensor that the kernel writes, if others cannot tell it."""
        value = self.structure.tensors[name]
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


def _latency(attrs: df.AluAttrs, tile: tuple[int, ...]) -> int:
    """Return the latency of an alu that makes such tiles (docs/streams.md, section 3.2)."""
    if attrs.tile_op is not None and attrs.tile_op.fold:
        return max(sum(tile) - len(tile) + 1, 1)
    return math.prod(tile) if len(attrs.fills) == 2 or not tile else tile[0]


def _around(space: Space, lanes: Lanes) -> Lanes:
    """Return the lanes that this space, or one around it, was dealt to."""
    return tuple(pair for pair in lanes if pair[0].home.depth <= space.depth)


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
    Op.FORK: _Counter.fork,
    Op.GATHER: _Counter.gather,
    Op.LEVEL_WRITE: _Counter.level_write,
    Op.VAL_WRITE: _Counter.val_write,
}
