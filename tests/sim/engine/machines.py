# SPDX-License-Identifier: MIT
"""Draws random legal machines: units are added one by one to streams whose shapes are known.

Knowing which streams hold equal lists is all that is needed to join, repeat, reduce and accumulate
without misaligning anything.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fuseflow.sim import params as pm
from fuseflow.sim.machine import Machine, UnitKind
from tests.sim.engine.drawing import (
    BINARY,
    CRD,
    MAX_DEPTH,
    REF,
    SIG,
    UNARY,
    VAL,
    Drawing,
    Shape,
    Stream,
    above,
)


class Draw(Drawing):
    """A drawing that adds one unit of any kind per step."""

    def __init__(self, seed: int, capacity: int | None, steps: int, scale: int) -> None:
        super().__init__(seed, capacity, scale)
        self.sources()
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        steps = [
            self.scan, self.scan, self.scan, self.full, self.root, self.repeat, self.repeat,
            self.join, self.join, self.locate, self.array, self.array, self.alu1, self.alu2,
            self.reduce, self.spacc, self.spacc, self.spacc, self.hold, self.drop, self.mask,
            self.valdrop, self.lanes, self.repsig, self.replay, self.concat,
        ]  # fmt: skip
        steps[self.below(len(steps))]()

    def root(self) -> None:
        self.unit(UnitKind.ROOT, [], self.emit(self.stream(REF, Shape(0, 1), 1)))

    def scan(self) -> None:
        ref = self.pick(lambda s: s.kind is REF and s.shape.depth < MAX_DEPTH)
        if ref is None:
            return
        size = 1 + self.below(5 * self.scale)
        if ref.shape.elements * size > self.limit:
            return
        params, bound = self.level(ref.bound, size)
        shape = Shape(ref.shape.depth + 1, ref.shape.elements * size, ref.shape)
        source = self.use(ref)
        outputs = self.emit(self.stream(CRD, shape, size, True), self.stream(REF, shape, bound))
        self.unit(UnitKind.SCAN, [source], outputs, params)

    def level(self, parents: int, size: int) -> tuple[pm.ScanParams, int]:
        draw = self.rng.random()
        if draw < 0.35:
            return pm.ScanParams("dense", size, parents), parents * size
        if draw < 0.45:
            crd = self.rng.integers(0, size, parents)
            return pm.ScanParams("singleton", size, parents, None, crd), parents
        keep = self.rng.random((parents, size)) < self.rng.random()
        segments = np.concatenate([[0], np.cumsum(keep.sum(axis=1))]).astype(np.int64)
        crd = np.nonzero(keep)[1].astype(np.int64)
        return pm.ScanParams("compressed", size, parents, segments, crd), max(1, len(crd))

    def full(self) -> None:
        size = self.below(4 * self.scale)
        stream = self.pick(
            lambda s: s.shape.depth < MAX_DEPTH and s.shape.elements * size <= self.limit
        )
        if stream is None:
            return
        shape = Shape(stream.shape.depth + 1, max(1, stream.shape.elements * size), stream.shape)
        source = self.use(stream)
        outputs = self.emit(self.stream(CRD, shape, max(1, size), True))
        self.unit(UnitKind.FULL, [source], outputs, pm.FullParams(size))

    def outer_and_inner(
        self, outer: Callable[[Stream], bool], inner: Callable[[Stream], bool]
    ) -> tuple[Stream, Stream] | None:
        deep = self.pick(lambda s: s.shape.depth > 0 and inner(s))
        flat = deep and self.pick(
            lambda s: s.shape is deep.shape.parent and outer(s) and s is not deep
        )
        return (flat, deep) if flat and deep else None

    def repeat(self) -> None:
        pair = self.outer_and_inner(lambda _: True, lambda _: True)
        if pair is None:
            return
        outer, signal = pair
        inputs = [self.use(outer), self.use(signal)]
        outputs = self.emit(self.stream(outer.kind, signal.shape, outer.bound))
        self.unit(UnitKind.REPEAT, inputs, outputs, pm.RepeatParams(self.chance(0.7)))

    def replay(self) -> None:
        inner = self.pick(lambda s: s.shape.depth > 0 and s.shape.parent is not None)
        if inner is None:
            return
        outer = inner.shape.outer()
        signal = self.pick(lambda s: s.shape.parent is outer and s is not inner)
        size = inner.shape.elements * (signal.shape.elements if signal else 0)
        if signal is None or size > self.limit or inner.shape.depth >= MAX_DEPTH:
            return
        shape = Shape(inner.shape.depth + 1, max(1, size), signal.shape)
        inputs = [self.use(inner), self.use(signal)]
        outputs = self.emit(self.stream(inner.kind, shape, inner.bound, inner.ascending))
        self.unit(UnitKind.REPLAY, inputs, outputs, pm.ReplayParams(1))

    def repsig(self) -> None:
        stream = self.pick(lambda _: True)
        if stream:
            source = self.use(stream)
            self.unit(UnitKind.REPSIG, [source], self.emit(self.stream(SIG, stream.shape, 2)))

    def hold(self) -> None:
        pair = self.outer_and_inner(lambda s: s.kind is CRD, lambda s: s.kind is CRD)
        if pair is None:
            return
        outer, inner = pair
        inputs = [self.use(outer), self.use(inner)]
        outputs = self.emit(
            self.stream(CRD, inner.shape, outer.bound),
            self.stream(CRD, inner.shape, inner.bound, inner.ascending),
        )
        self.unit(UnitKind.HOLD, inputs, outputs)

    def payloads(self, shape: Shape, *used: Stream) -> list[Stream]:
        """Up to two further streams of this shape."""
        taken: list[Stream] = []
        for _ in range(self.below(3)):
            stream = self.pick(
                lambda s: s.shape is shape and s.kind in (REF, VAL) and s not in (*used, *taken)
            )
            if stream:
                taken.append(stream)
        return taken

    def join(self) -> None:
        first = self.pick(lambda s: s.ascending and s.kind is CRD)
        if first is None:
            return
        inputs = [first]
        for _ in range(1 + self.below(2)):
            other = self.pick(
                lambda s: s.ascending and s.kind is CRD and s not in inputs
                and s.shape.outer() is first.shape.outer()
            )  # fmt: skip
            if other:
                inputs.append(other)
        if len(inputs) < 2:
            return
        keeps = {"intersect": lambda m: m == 2 ** len(inputs) - 1, "union": lambda m: m > 0}
        keep = keeps.get(str(self.rng.choice(["intersect", "union", "table"])))
        table = self.rng.random(2 ** len(inputs)) < 0.6
        mask = tuple(keep(m) if keep else bool(table[m] and m) for m in range(2 ** len(inputs)))
        size = sum(s.shape.elements for s in inputs)
        shape = Shape(first.shape.depth, size, first.shape.outer())
        ports: list[int] = []
        outputs = [self.stream(CRD, shape, max(s.bound for s in inputs), True)]
        counts = []
        for crd in inputs:
            pays = self.payloads(crd.shape, *inputs)
            counts.append(len(pays))
            ports.append(self.use(crd))
            for pay in pays:
                ports.append(self.use(pay))
                outputs.append(self.stream(pay.kind, shape, pay.bound))
        self.unit(UnitKind.JOIN, ports, self.emit(*outputs), pm.JoinParams(mask, tuple(counts)))

    def locate(self) -> None:
        crd = self.pick(lambda s: s.kind is CRD and s.bound > 0)
        if crd is None:
            return
        parent = self.pick(lambda s: s.kind is REF and s.shape is crd.shape.parent)
        pays = self.payloads(crd.shape, crd)
        parents = parent.bound if parent else 1
        search = self.chance(0.3)
        level, stored = self.level(parents, crd.bound)
        search = search and level.format == "compressed"
        params = pm.LocateParams(
            crd.bound, 1 if search else 1 + self.below(2), self.below(3), crd.bound, search,
            level.segments, level.coordinates,
        )  # fmt: skip
        dense = (parents - 1) * crd.bound + (crd.bound - 1) * params.stride + params.base + 1
        inputs = [self.use(crd), self.use(parent) if parent else -1]
        inputs += [self.use(pay) for pay in pays]
        outputs = [
            self.stream(CRD, crd.shape, crd.bound, crd.ascending),
            self.stream(REF, crd.shape, stored if search else dense),
            *(self.stream(pay.kind, crd.shape, pay.bound) for pay in pays),
        ]
        self.unit(UnitKind.LOCATE, inputs, self.emit(*outputs), params)

    def array(self) -> None:
        ref = self.pick(lambda s: s.kind is REF)
        if ref is None:
            return
        values = None if self.chance(0.2) else self.floats(max(1, ref.bound))
        params = pm.ArrayParams(values, max(1, ref.bound), self.fill())
        source = self.use(ref)
        self.unit(UnitKind.ARRAY, [source], self.emit(self.stream(VAL, ref.shape)), params)

    def alu1(self) -> None:
        val = self.pick(lambda s: s.kind is VAL)
        if val:
            params = pm.AluParams(str(self.rng.choice(UNARY)), (self.fill(),), (), 1)
            source = self.use(val)
            self.unit(UnitKind.ALU, [source], self.emit(self.stream(VAL, val.shape)), params)

    def alu2(self) -> None:
        left = self.pick(lambda s: s.kind is VAL)
        right = left and self.pick(
            lambda s: s.kind is VAL and s.shape is left.shape and s is not left
        )
        if not left or not right:
            return
        params = pm.AluParams(str(self.rng.choice(BINARY)), (self.fill(), self.fill()), (), 1)
        inputs = [self.use(left), self.use(right)]
        self.unit(UnitKind.ALU, inputs, self.emit(self.stream(VAL, left.shape)), params)

    def reduce(self) -> None:
        val = self.pick(lambda s: s.kind is VAL and s.shape.depth > 0)
        if val is None:
            return
        shape = self.pick(lambda s: s.shape is val.shape.parent) if self.chance(0.2) else None
        op = str(self.rng.choice(["add", "max", "min", "mul"]))
        init = {"add": 0.0, "max": -np.inf, "min": np.inf, "mul": 1.0}[op]
        extent = 2000 * self.scale**2 + self.below(3) if self.chance(0.2) else None
        params = pm.ReduceParams(op, init, init, float(self.floats(1)[0]), extent)
        inputs = [self.use(val), self.use(shape) if shape else -1]
        outputs = self.emit(self.stream(VAL, val.shape.outer()))
        self.unit(UnitKind.REDUCE, inputs, outputs, params)

    def spacc(self) -> None:
        val = self.pick(
            lambda s: s.kind is VAL and s.shape.depth > 1
            and self.pick(lambda k: k.kind is CRD and k.shape is s.shape) is not None
        )  # fmt: skip
        if val is None:
            return
        order = 1 + self.below(min(2, val.shape.depth - 1))
        shapes = [val.shape]
        for _ in range(order):
            shapes.append(shapes[-1].outer())
        keys: list[Stream] = []
        for shape in reversed(shapes):
            key = self.pick(lambda s, shape=shape: s.kind is CRD and s.shape is shape)
            if key is None:
                return
            keys.append(key)
        bounds = [key.bound for key in keys[1:]]
        full = tuple(b if self.chance(0.3) and b < 40 else 0 for b in bounds)
        op = str(self.rng.choice(["add", "max", "min", "mul"]))
        init = {"add": 0.0, "max": -np.inf, "min": np.inf, "mul": 1.0}[op]
        extent = 2000 * self.scale**2 if self.chance(0.2) else None
        params = pm.SpaccParams(op, init, order, full, 0.5, float(self.floats(1)[0]), extent)
        outer = keys[0].shape.outer()
        outputs: list[Stream] = []
        for key, dense in zip(keys[1:], full, strict=True):
            size = outer.elements * dense if dense else key.shape.elements
            outer = Shape(outer.depth + 1, max(1, size), outer)
            outputs.append(self.stream(CRD, outer, key.bound, True))
        outputs.append(self.stream(VAL, outer))
        inputs = [*(self.use(key) for key in keys), self.use(val)]
        self.unit(UnitKind.SPACC, inputs, self.emit(*outputs), params)

    def drop(self) -> None:
        pair = self.outer_and_inner(
            lambda s: s.kind is CRD and s.shape.depth > 0, lambda s: s.kind is CRD
        )
        if pair is None:
            return
        outer, inner = pair
        pays = self.payloads(inner.shape, inner)
        inputs = [self.use(outer), self.use(inner), *(self.use(pay) for pay in pays)]
        kept = Shape(outer.shape.depth, outer.shape.elements, outer.shape.outer())
        deep = Shape(inner.shape.depth, inner.shape.elements, kept)
        outputs = self.emit(
            self.stream(CRD, kept, outer.bound, outer.ascending),
            self.stream(CRD, deep, inner.bound, inner.ascending),
            *(self.stream(pay.kind, deep, pay.bound) for pay in pays),
        )
        self.unit(UnitKind.DROP, inputs, outputs)

    def mask(self) -> None:
        pair = self.outer_and_inner(lambda s: s.kind is CRD, lambda s: s.kind is CRD)
        if pair is None:
            return
        outer, inner = pair
        pays = self.payloads(inner.shape, inner)
        inputs = [self.use(outer), self.use(inner), *(self.use(pay) for pay in pays)]
        shape = Shape(inner.shape.depth, inner.shape.elements, inner.shape.parent)
        outputs = self.emit(
            self.stream(CRD, shape, inner.bound, inner.ascending),
            *(self.stream(pay.kind, shape, pay.bound) for pay in pays),
        )
        keep = str(self.rng.choice(["lt", "le", "eq", "ne", "ge", "gt"]))
        self.unit(UnitKind.MASK, inputs, outputs, pm.MaskParams(keep))

    def valdrop(self) -> None:
        crd = self.pick(lambda s: s.kind is CRD and s.shape.depth > 0)
        val = crd and self.pick(lambda s: s.kind is VAL and s.shape is crd.shape)
        if not crd or not val:
            return
        shape = Shape(crd.shape.depth, crd.shape.elements, crd.shape.outer())
        inputs = [self.use(crd), self.use(val)]
        outputs = self.emit(
            self.stream(CRD, shape, crd.bound, crd.ascending), self.stream(VAL, shape)
        )
        self.unit(UnitKind.VALDROP, inputs, outputs, pm.ValDropParams(0.5))

    def lanes(self) -> None:
        """Fork innermost lists and gather them again, with or without a scan in every lane."""
        stream = self.pick(lambda s: s.shape.depth > 0)
        if stream is None:
            return
        count = 1 + self.below(3)
        lane_shape = Shape(stream.shape.depth, stream.shape.elements)
        lanes = [self.stream(stream.kind, lane_shape, stream.bound) for _ in range(count)]
        scanned = self.chance(0.5) and stream.kind is REF and stream.shape.depth < MAX_DEPTH
        sel = self.stream(CRD, stream.shape, count) if self.chance(0.5) else None
        sel_end = sel.channel if sel else -1
        source = self.use(stream)
        ends = [lane.channel for lane in lanes]
        self.unit(UnitKind.FORK, [source], [*ends, sel_end])
        if scanned:
            self.scanned_lanes(stream, ends, sel_end)
            return
        out = self.stream(stream.kind, stream.shape, stream.bound, stream.ascending)
        params = pm.GatherParams(count, 0)
        self.unit(UnitKind.GATHER, [*ends, sel_end], self.emit(out), params)

    def scanned_lanes(self, stream: Stream, ends: list[int], sel: int) -> None:
        """Scan the references of every lane, then gather lists of coordinates."""
        size = 1 + self.below(3)
        params, _ = self.level(stream.bound, size)
        shape = Shape(stream.shape.depth + 1, stream.shape.elements * size, stream.shape)
        lane_shape = Shape(shape.depth, shape.elements)
        lists = [self.stream(CRD, lane_shape, size) for _ in ends]
        for end, crd in zip(ends, lists, strict=True):
            self.unit(UnitKind.SCAN, [end], [crd.channel, -1], params)
        inputs = [*(crd.channel for crd in lists), sel]
        out = self.emit(self.stream(CRD, shape, size, True))
        self.unit(UnitKind.GATHER, inputs, out, pm.GatherParams(len(ends), 1))

    def concat(self) -> None:
        """Append innermost lists of values, of pairs, or lists of lists."""
        depth = self.below(2)
        first = self.pick(lambda s: s.shape.depth > depth and s.kind is not VAL)
        second = first and self.pick(
            lambda s: s.kind is first.kind and s is not first and s.shape.depth == first.shape.depth
            and above(s.shape, depth) is above(first.shape, depth)
        )  # fmt: skip
        if not first or not second:
            return
        size = first.shape.elements + second.shape.elements
        outer = above(first.shape, depth)
        for _ in range(depth):
            outer = Shape(outer.depth + 1, size, outer)
        shape = Shape(first.shape.depth, size, outer)
        bound = first.bound + second.bound
        pay = self.payload_of(first)
        pays = [pay, self.payload_of(second, *([pay] if pay else []))]
        offsets = (0, first.bound)
        if depth == 0 and first.kind is CRD and all(pays):
            inputs = [
                self.use(stream)
                for pair in zip((first, second), pays, strict=True)
                for stream in pair
                if stream
            ]
            outputs = [self.stream(p.kind, shape, p.bound) for p in pays if p]
            out = self.emit(self.stream(CRD, shape, bound), *outputs)
            self.unit(UnitKind.CONCAT, inputs, out, pm.ConcatParams("pad", 0, offsets))
            return
        inputs = [self.use(first), self.use(second)]
        out = self.emit(self.stream(first.kind, shape, bound))
        self.unit(UnitKind.CONCAT, inputs, out, pm.ConcatParams("mix", depth, offsets))

    def payload_of(self, crd: Stream, *used: Stream) -> Stream | None:
        return self.pick(lambda s: s.shape is crd.shape and s.kind in (REF, VAL) and s not in used)

    def machine(self) -> Machine:
        """Give every open stream a reader, or make it void where nothing depends on it."""
        for stream in self.open:
            inputs = [stream.channel]
            if stream.kind is CRD and stream.shape.depth and self.chance(0.5):
                self.unit(UnitKind.LEVEL_WRITE, inputs, [], pm.LevelWriteParams("T", 0))
            elif stream.kind is VAL and self.chance(0.5):
                self.unit(UnitKind.VAL_WRITE, inputs, [], pm.ValWriteParams("T", self.fill()))
            else:
                self.unit(UnitKind.SINK, inputs, [])
        return Machine("random", tuple(self.units), tuple(self.channels))


def draw_machine(seed: int, capacity: int | None, *, steps: int = 30, scale: int = 1) -> Machine:
    """Return the random machine of a seed with this capacity on every channel.

    `scale` multiplies the lengths of lists.
    """
    return Draw(seed, capacity, steps, scale).machine()
