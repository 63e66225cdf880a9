# SPDX-License-Identifier: MIT
"""Reductions of one operation: an innermost class by `reduce`, any other one by `spacc`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuseflow.fusion.analysis.domains import EVERYTHING
from fuseflow.fusion.analysis.views import View
from fuseflow.fusion.lowering.emit import Shape, Wire
from fuseflow.fusion.tile_ops import folded_elements
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op, StreamKind
from fuseflow.ir.scalar import REDUCTIONS, fold_fill

if TYPE_CHECKING:
    from fuseflow.fusion.lowering.lower import Lowering

__all__ = ["Reduced", "emit_reductions"]


@dataclass(frozen=True, slots=True)
class Reduced:
    """The result of an operation: its values, and the coordinates that were born in reductions."""

    value: Wire
    born: dict[str, Wire]


@dataclass(slots=True)
class _State:
    """A partly reduced stream: its nest, its values, coordinates made so far, and its fill."""

    loops: list[str]
    value: Wire
    born: dict[str, Wire]
    fill: float


def emit_reductions(cells: Lowering, view: View, mapped: Wire) -> Reduced:
    """Reduce the mapped values of an operation over its classes, innermost class first."""
    assert view.op is not None
    loops = list(cells.plan.nests[view].full)
    folded = folded_elements(view.op, cells.values)
    fill = fold_fill(view.op.reduce or "", cells.fills.mapped[view.op.name], folded)
    state = _State(loops, mapped, {}, fill)
    pending = sorted(view.reduced, key=loops.index, reverse=True)
    for step, name in enumerate(pending):
        extent = _extent(cells, view, state, name)
        if state.loops[-1] == name:
            _reduce(cells, view, state, extent)
        else:
            _accumulate(cells, view, state, name, extent, last=step == len(pending) - 1)
        state.fill = fold_fill(view.op.reduce or "", state.fill, cells.plan.graph.classes[name])
    return Reduced(state.value, state.born)


def _extent(cells: Lowering, view: View, state: _State, name: str) -> int | None:
    """Return the extent of a class if its coordinates that are not visited count, else None.

    They count if their value changes the reduction, and if there are any: a class visited in full
    still skips some under a key that is not.
    """
    op = view.op
    assert op is not None
    assert op.reduce is not None
    inside = state.loops[state.loops.index(name) :]
    visited = all(cells.plan.domains.at[view, v] == EVERYTHING for v in inside)
    if visited or state.fill == REDUCTIONS[op.reduce].identity:
        return None
    return cells.plan.graph.classes[name]


def _reduce(cells: Lowering, view: View, state: _State, extent: int | None) -> None:
    op = view.op
    assert op is not None
    assert op.reduce is not None
    state.loops.pop()
    outer = state.value.shape
    shape = Shape(StreamKind.VAL, outer.indices[:-1], outer.domains[:-1])
    attrs = df.ReduceAttrs(op.reduce, state.fill, extent)
    label = f"{op.reduce} {op.output.value}"
    (state.value,) = cells.builder.add(
        Op.REDUCE, attrs, (state.value, None), (shape,), name=label, source=op.name
    )


def _accumulate(
    cells: Lowering, view: View, state: _State, name: str, extent: int | None, *, last: bool
) -> None:
    """Combine over a class with others nested inside it, which become the keys."""
    op = view.op
    assert op is not None
    assert op.reduce is not None
    depth = state.loops.index(name)
    keys = state.loops[depth + 1 :]
    inputs = [_coordinates(cells, view, state, v) for v in (name, *keys)]
    shapes = _key_shapes(cells, view, state, depth)
    full = tuple(
        cells.plan.graph.classes[v] if last and (view, v) in cells.plan.domains.full else 0
        for v in keys
    )
    missing = fold_fill(op.reduce, state.fill, cells.plan.graph.classes[name])
    attrs = df.SpaccAttrs(op.reduce, len(keys), full, missing, state.fill, extent)
    label = f"{op.reduce} {op.output.value}"
    *crds, state.value = cells.builder.add(
        Op.SPACC,
        attrs,
        (*inputs, state.value, None),
        (*shapes, shapes[-1].of_kind(StreamKind.VAL)),
        name=label,
        source=op.name,
    )
    state.born |= dict(zip(keys, crds, strict=True))
    del state.loops[depth]


def _coordinates(cells: Lowering, view: View, state: _State, name: str) -> Wire:
    return state.born.get(name) or cells.crd(view, name)


def _key_shapes(cells: Lowering, view: View, state: _State, depth: int) -> list[Shape]:
    """Return the shapes of the key streams; unfinished levels get ids of their own."""
    outer = state.value.shape
    shape = Shape(StreamKind.CRD, outer.indices[:depth], outer.domains[:depth])
    pending = len(set(state.loops) & set(view.reduced)) - 1
    shapes: list[Shape] = []
    for v in state.loops[depth + 1 :]:
        shape = shape.within(v, cells.plan.clusters.stage_id((view, v), pending))
        shapes.append(shape)
    return shapes
