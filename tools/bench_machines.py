# SPDX-License-Identifier: MIT
"""Synthetic machines of a wanted size, for measuring the simulator; data is seeded.

A `Maker` joins units by name of stream and adds the broadcasts and the signal stages that a kernel
has too. The products below are those of FuseFlow (ASPLOS'26, section 4), written by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from fuseflow.sim import params as pm
from fuseflow.sim.machine import Channel, ChannelKind, Cost, Machine, Unit, UnitKind
from fuseflow.sim.memory import arrays_of

__all__ = [
    "Csr",
    "Maker",
    "dense_product",
    "elementwise",
    "placed",
    "random_csr",
    "sparse_product",
    "spmm",
]

CRD, REF, VAL, SIG = ChannelKind.CRD, ChannelKind.REF, ChannelKind.VAL, ChannelKind.SIG
INTERSECT = (False, False, False, True)


@dataclass(frozen=True, slots=True, eq=False)
class Csr:
    """A matrix with compressed rows: segments, column coordinates, values."""

    rows: int
    columns: int
    segments: pm.Ints
    coordinates: pm.Ints
    values: pm.Floats


def random_csr(rows: int, columns: int, per_row: int, seed: int) -> Csr:
    """Draw a matrix with `per_row` entries in every row, at distinct columns."""
    rng = np.random.default_rng(seed)
    per_row = min(per_row, columns)
    if per_row == columns:
        crd = np.tile(np.arange(columns), rows)
    else:
        starts = rng.integers(0, columns, (rows, 1))
        steps = np.sort(rng.permuted(np.tile(np.arange(columns), (min(rows, 64), 1)), axis=1)
                        [:, :per_row], axis=1)  # fmt: skip
        crd = np.sort((steps[np.arange(rows) % len(steps)] + starts) % columns, axis=1).ravel()
    segments = np.arange(rows + 1) * per_row
    values = rng.standard_normal(rows * per_row).astype(np.float32)
    return Csr(rows, columns, segments.astype(np.int64), crd.astype(np.int64), values)


def placed(machine: Machine) -> Machine:
    """Return the machine with an address for every array that has none, each in its own GiB."""
    bases = count(0, 1 << 30)
    units = (
        unit if unit.bases else replace(unit, bases=tuple(next(bases) for _ in arrays_of(unit)))
        for unit in machine.units
    )
    return replace(machine, units=tuple(units))


class Maker:
    """Collects units; a stream that several units read gets a broadcast in `machine`."""

    def __init__(self, name: str, capacity: int | None = None) -> None:
        self.name = name
        self.capacity = capacity
        self.units: list[Unit] = []
        self.channels: list[Channel] = []
        self.readers: list[int] = []

    def stream(self, kind: ChannelKind) -> int:
        """Return a new stream."""
        self.channels.append(Channel(kind, self.capacity, name=f"s{len(self.channels)}"))
        self.readers.append(0)
        return len(self.channels) - 1

    def add(
        self,
        kind: UnitKind,
        inputs: Sequence[int],
        outputs: Sequence[ChannelKind | None],
        params: pm.UnitParams | None = None,
    ) -> list[int]:
        """Add a unit that reads these streams; return its outputs (-1 where one is void)."""
        made = [-1 if out is None else self.stream(out) for out in outputs]
        for stream in inputs:
            if stream >= 0:
                self.readers[stream] += 1
        name = f"{kind.name.lower()}{len(self.units)}"
        record = params or pm.NoParams()
        self.units.append(Unit(kind, name, tuple(inputs), tuple(made), record, Cost(done=1)))
        return made

    def repeat(self, stream: int, signal: int) -> int:
        """Repeat a stream over a signal, which passes a stage of its own."""
        (sig,) = self.add(UnitKind.REPSIG, [signal], [SIG])
        kind = self.channels[stream].kind
        return self.add(UnitKind.REPEAT, [stream, sig], [kind], pm.RepeatParams())[0]

    def scan_csr(self, ref: int, a: Csr) -> tuple[int, int]:
        """Scan the rows of a matrix."""
        params = pm.ScanParams("compressed", a.columns, a.rows, a.segments, a.coordinates)
        crd, out = self.add(UnitKind.SCAN, [ref], [CRD, REF], params)
        return crd, out

    def locate(self, crd: int, parent: int, size: int, parent_stride: int = 0) -> int:
        """Reference of a coordinate in a dense level; the coordinate output is void."""
        params = pm.LocateParams(size, parent_stride=parent_stride)
        return self.add(UnitKind.LOCATE, [crd, parent], [None, REF], params)[1]

    def array(self, ref: int, values: pm.Floats) -> int:
        """Read values."""
        return self.add(UnitKind.ARRAY, [ref], [VAL], pm.ArrayParams(values, values.size))[0]

    def alu(self, fn: str, *operands: int) -> int:
        """Apply a function."""
        params = pm.AluParams(fn, (0.0,) * len(operands), (), 1)
        return self.add(UnitKind.ALU, operands, [VAL], params)[0]

    def spacc(self, outer: int, key: int, val: int) -> tuple[int, int]:
        """Sum lists keyed by `key` over `outer`."""
        params = pm.SpaccParams("add", 0.0, 1, (0,))
        crd, out = self.add(UnitKind.SPACC, [outer, key, val], [CRD, VAL], params)
        return crd, out

    def reduce(self, val: int) -> int:
        """Sum innermost lists."""
        return self.add(UnitKind.REDUCE, [val, -1], [VAL], pm.ReduceParams("add", 0.0, 0.0))[0]

    def write(self, crds: Sequence[int], val: int) -> None:
        """Write levels and values of a result."""
        for level, crd in enumerate(crds):
            self.add(UnitKind.LEVEL_WRITE, [crd], [], pm.LevelWriteParams("C", level))
        self.add(UnitKind.VAL_WRITE, [val], [], pm.ValWriteParams("C"))

    def machine(self) -> Machine:
        """Return the machine, every stream with one reader."""
        units: list[Unit] = []
        queues: dict[int, list[int]] = {}
        for unit in self.units:
            inputs = [queues[s].pop() if s in queues else s for s in unit.inputs]
            units.append(Unit(unit.kind, unit.name, tuple(inputs), unit.outputs, unit.params,
                              unit.cost))  # fmt: skip
            for out in unit.outputs:
                count = self.readers[out] if out >= 0 else 1
                if count > 1:
                    queues[out] = [self.stream(self.channels[out].kind) for _ in range(count)]
                    units.append(Unit(UnitKind.BROADCAST, f"fan{out}", (out,),
                                      tuple(reversed(queues[out]))))  # fmt: skip
                elif count == 0:
                    units.append(Unit(UnitKind.SINK, f"sink{out}", (out,), ()))
        return Machine(self.name, tuple(units), tuple(self.channels))


def spmm(
    rows: int, inner: int, columns: int, per_row: int, *, capacity: int | None = None
) -> Machine:
    """C = A B, A with compressed rows, B dense, order ikj: fibers of B hold `columns` values."""
    a = random_csr(rows, inner, per_row, 1)
    b = np.random.default_rng(2).standard_normal(inner * columns).astype(np.float32)
    m = Maker(f"spmm {per_row} per row, fibers of {columns}", capacity)
    (root,) = m.add(UnitKind.ROOT, [], [REF])
    (i,) = m.add(UnitKind.FULL, [root], [CRD], pm.FullParams(rows))
    row = m.locate(i, -1, rows)
    k, at = m.scan_csr(row, a)
    a_val = m.array(at, a.values)
    (j,) = m.add(UnitKind.FULL, [k], [CRD], pm.FullParams(columns))
    a_rep = m.repeat(a_val, j)
    b_row = m.locate(k, -1, inner)
    b_ref = m.locate(j, b_row, columns, columns)
    product = m.alu("mul", a_rep, m.array(b_ref, b))
    c_j, c_val = m.spacc(k, j, product)
    m.write([i, c_j], c_val)
    return m.machine()


def sparse_product(size: int, per_row: int, other: int, *, capacity: int | None = None) -> Machine:
    """C = A B, both with compressed rows, order ikj, k by intersection with the rows of B."""
    a, b = random_csr(size, size, per_row, 1), random_csr(size, size, other, 2)
    m = Maker(f"sparse {per_row} x {other} per row", capacity)
    (root,) = m.add(UnitKind.ROOT, [], [REF])
    (i,) = m.add(UnitKind.FULL, [root], [CRD], pm.FullParams(size))
    k_a, at = m.scan_csr(m.locate(i, -1, size), a)
    (b_root,) = m.add(UnitKind.ROOT, [], [REF])
    every = np.arange(size, dtype=np.int64)
    rows = pm.ScanParams("compressed", size, 1, np.array([0, size]), every)
    k_b, b_at = m.add(UnitKind.SCAN, [m.repeat(b_root, i)], [CRD, REF], rows)
    k, a_ref, b_ref = m.add(
        UnitKind.JOIN, [k_a, at, k_b, b_at], [CRD, REF, REF], pm.JoinParams(INTERSECT, (1, 1))
    )
    j, b_pos = m.scan_csr(b_ref, b)
    a_rep = m.repeat(m.array(a_ref, a.values), j)
    product = m.alu("mul", a_rep, m.array(b_pos, b.values))
    c_j, c_val = m.spacc(k, j, product)
    m.write([i, c_j], c_val)
    return m.machine()


def dense_product(rows: int, inner: int, columns: int, *, capacity: int | None = None) -> Machine:
    """C = A B, both dense, order ijk: innermost lists hold `inner` values and are reduced."""
    rng = np.random.default_rng(3)
    a = rng.standard_normal(rows * inner).astype(np.float32)
    b = rng.standard_normal(inner * columns).astype(np.float32)
    m = Maker(f"dense {rows} x {inner} x {columns}", capacity)
    (root,) = m.add(UnitKind.ROOT, [], [REF])
    (i,) = m.add(UnitKind.FULL, [root], [CRD], pm.FullParams(rows))
    a_row = m.locate(i, -1, rows)
    (j,) = m.add(UnitKind.FULL, [i], [CRD], pm.FullParams(columns))
    (k,) = m.add(UnitKind.FULL, [j], [CRD], pm.FullParams(inner))
    a_ref = m.locate(k, m.repeat(a_row, j), inner, inner)
    b_ref = m.locate(k, m.locate(j, -1, columns), inner, inner)
    product = m.alu("mul", m.array(a_ref, a), m.array(b_ref, b))
    m.write([i, j], m.reduce(product))
    return m.machine()


def elementwise(
    rows: int, columns: int, per_row: int, *, union: bool, capacity: int | None = None
) -> Machine:
    """C = A + B or A * B, both with compressed rows: every join is of two compressed lists."""
    a, b = random_csr(rows, columns, per_row, 1), random_csr(rows, columns, per_row, 2)
    m = Maker(f"elementwise {per_row} per row", capacity)
    (root,) = m.add(UnitKind.ROOT, [], [REF])
    (i,) = m.add(UnitKind.FULL, [root], [CRD], pm.FullParams(rows))
    j_a, at_a = m.scan_csr(m.locate(i, -1, rows), a)
    j_b, at_b = m.scan_csr(m.locate(i, -1, rows), b)
    keep = (False, union, union, True)
    j, ref_a, ref_b = m.add(
        UnitKind.JOIN, [j_a, at_a, j_b, at_b], [CRD, REF, REF], pm.JoinParams(keep, (1, 1))
    )
    fn = "add" if union else "mul"
    m.write([i, j], m.alu(fn, m.array(ref_a, a.values), m.array(ref_b, b.values)))
    return m.machine()
