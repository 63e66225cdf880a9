# SPDX-License-Identifier: MIT
"""How a tensor in DRAM is entered: its levels are scanned, located or repeated in loop order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fuseflow.fusion.analysis.views import View
from fuseflow.fusion.lowering.emit import Wire
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op, StreamKind
from fuseflow.ir.tensor import Format

if TYPE_CHECKING:
    from fuseflow.fusion.lowering.lower import Lowering

__all__ = ["LeafWalker"]


class LeafWalker:
    """Makes the reference and value streams of leaves, for one use (operation, operand) each."""

    def __init__(self, cells: Lowering) -> None:
        """Walk leaves on behalf of a lowering, which supplies the coordinates."""
        self._cells = cells
        self._references: dict[tuple[View, int, int], Wire | None] = {}

    def is_stored(self, leaf: View, name: str) -> bool:
        """Return True if `name` is a level of this leaf that keeps coordinates."""
        if name not in leaf.binding:
            return False
        fmt = self._cells.format(leaf)
        return fmt.levels[_level(leaf, fmt, name)].is_stored

    def scan(self, view: View, number: int, name: str) -> tuple[Wire, Wire]:
        """Return the coordinates and references of a stored level, before any join."""
        leaf = view.operands[number]
        depth = self._loops(view).index(name)
        parent = self._reference(view, number, depth)
        if parent is None:
            parent = self._root(view, leaf, depth)
        outputs = [
            self._cells.shape(view, depth + 1, kind) for kind in (StreamKind.CRD, StreamKind.REF)
        ]
        level = _level(leaf, self._cells.format(leaf), name)
        attrs = df.ScanAttrs(self._cells.tensor(leaf).name, level)
        label = f"scan {leaf.value}.{name}"
        crd, ref = self._cells.builder.add(Op.SCAN, attrs, (parent,), outputs, name=label)
        return crd, ref

    def value(self, view: View, number: int) -> Wire:
        """Return the values of a leaf, read once per visit of its last level."""
        leaf = view.operands[number]
        loops = self._loops(view)
        depth = max((loops.index(name) + 1 for name in leaf.binding), default=0)
        ref = self._reference(view, number, depth)
        if ref is None:
            ref = self._root(view, leaf, depth)
        tensor = self._cells.tensor(leaf)
        shape = ref.shape.of_kind(StreamKind.VAL)
        attrs = df.ArrayAttrs(tensor.name, tensor.fill)
        label = f"values {leaf.value}"
        return self._cells.builder.add(Op.ARRAY, attrs, (ref,), (shape,), name=label)[0]

    def _reference(self, view: View, number: int, depth: int) -> Wire | None:
        """Return the reference after the first `depth` loops; None while nothing is entered."""
        key = (view, number, depth)
        if key not in self._references:
            self._references[key] = self._step(view, number, depth) if depth else None
        return self._references[key]

    def _step(self, view: View, number: int, depth: int) -> Wire | None:
        leaf = view.operands[number]
        name = self._loops(view)[depth - 1]
        above = self._reference(view, number, depth - 1)
        if name not in leaf.binding:
            return None if above is None else self._cells.repeat(view, above, depth - 1)
        if self.is_stored(leaf, name):
            ref = self.scan(view, number, name)[1]
            joined = self._cells.payload(view, name, ref)
            assert joined is not None
            return joined
        return self._locate(view, leaf, name, above)

    def _locate(self, view: View, leaf: View, name: str, above: Wire | None) -> Wire:
        crd = self._cells.crd(view, name)
        fmt = self._cells.format(leaf)
        attrs = _locate_attrs(
            self._cells.tensor(leaf).name,
            fmt,
            [self._cells.plan.graph.classes[leaf.binding[m]] for m in fmt.mode_order],
            _level(leaf, fmt, name),
            [_level(leaf, fmt, v) for v in self._loops(view) if v in leaf.binding],
        )
        outputs = (crd.shape, crd.shape.of_kind(StreamKind.REF))
        label = f"locate {leaf.value}.{name}"
        return self._cells.builder.add(Op.LOCATE, attrs, (crd, above), outputs, name=label)[1]

    def _root(self, view: View, leaf: View, depth: int) -> Wire:
        """Return the leaf's root, repeated along the first `depth` loops."""
        wire = self._cells.root(self._cells.tensor(leaf).name)
        for outer in range(depth):
            wire = self._cells.repeat(view, wire, outer)
        return wire

    def _loops(self, view: View) -> tuple[str, ...]:
        return self._cells.plan.nests[view].full


def _level(leaf: View, fmt: Format, name: str) -> int:
    return fmt.mode_order.index(leaf.binding.index(name))


def _locate_attrs(
    tensor: str, fmt: Format, sizes: Sequence[int], level: int, visited: Sequence[int]
) -> df.LocateAttrs:
    """Return the address arithmetic of one dense level.

    A run of neighbouring dense levels is one row-major block. Visited in stored order, each level
    multiplies its parent by its own extent. In any other order the first one visited scales by the
    whole block and every level adds coordinate times stride.
    """
    first = level
    while first and not fmt.levels[first - 1].is_stored:
        first -= 1
    last = level
    while last + 1 < len(sizes) and not fmt.levels[last + 1].is_stored:
        last += 1
    run = [x for x in visited if first <= x <= last]
    if run == sorted(run):
        return df.LocateAttrs(tensor, level, sizes[level], parent_stride=sizes[level])
    block = math.prod(sizes[first : last + 1])
    return df.LocateAttrs(
        tensor,
        level,
        sizes[level],
        stride=math.prod(sizes[level + 1 : last + 1]),
        parent_stride=block if run[0] == level else 1,
    )
