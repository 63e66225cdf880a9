# SPDX-License-Identifier: MIT
"""Fill calculus: the value that each tensor has wherever nothing is stored.

A value equals its fill outside its support. The fill of a result follows from the fills of its
operands; which operand may restrict the support follows from whether its fill absorbs the other
operand (0 in a product, -inf under a mask). Where the support is everything the fill is
irrelevant, and whatever this module says about it is vacuous.

Not here: the support itself, which depends on how a value is reached (`domains`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fuseflow.fusion.analysis.bounds import EVERYTHING as ANYTHING
from fuseflow.fusion.analysis.bounds import Interval, compute_bounds, is_bounded
from fuseflow.ir.einsum import Einsum, EinsumGraph, Value
from fuseflow.ir.scalar import SCALAR_FUNCTIONS, apply_scalar, fold_fill

__all__ = ["Fills", "compute_fills"]


@dataclass(frozen=True, slots=True)
class Fills:
    """Fill of every value, fill of every einsum before its reduction, and who is finite.

    `mapped[einsum name]` is the scalar function of the operands' fills. A value is taken as finite
    if its fill is and, where its data is known, all its entries are. Of computed values that is an
    assumption unless `bounds` prove it; with `strict` only what is proven is finite.
    """

    value: Mapping[str, float]
    mapped: Mapping[str, float]
    finite: frozenset[str]
    bounds: Mapping[str, Interval] = field(default_factory=dict)
    strict: bool = False

    def restricting(self, op: Einsum) -> tuple[int, ...]:
        """Return the operands whose support bounds that of the operation.

        Empty means that none does: the support is the union over all operands. Several mean the
        intersection. A unary operation keeps the support of its operand.
        """
        if len(op.operands) == 1:
            return (0,)
        row = SCALAR_FUNCTIONS[op.fn]
        names = [access.value for access in op.operands]
        return tuple(
            p
            for p, name in enumerate(names)
            if self.value[name] in row.absorbing[p]
            and (row.guarded or all(names[q] in self.finite for q in range(2) if q != p))
        )

    def assumed(self, op: Einsum) -> tuple[str, ...]:
        """Return the operands that an absent other one annihilates, though they may be infinite."""
        if len(op.operands) == 1 or SCALAR_FUNCTIONS[op.fn].guarded:
            return ()
        names = [access.value for access in op.operands]
        others = (names[1 - p] for p in self.restricting(op))
        return tuple(name for name in others if not is_bounded(self.bounds.get(name, ANYTHING)))


def compute_fills(graph: EinsumGraph, *, strict: bool = False, known: Fills | None = None) -> Fills:
    """Evaluate the fill calculus over a whole graph, in evaluation order.

    Args:
        graph: einsums and values.
        strict: take no computed value as finite that is not proven to be.
        known: where the graph is a part of another one, the calculus of that.
    """
    bounds = compute_bounds(graph, known.bounds if known is not None else None)
    proven = {name for name, interval in bounds.items() if is_bounded(interval)}
    fills = {name: value.fill for name, value in graph.values.items()}
    finite = {name for name, value in graph.values.items() if _is_finite(value)}
    mapped: dict[str, float] = {}
    sizes = graph.index_sizes()
    for op in graph.einsums:
        inner = tuple(fills[access.value] for access in op.operands)
        mapped[op.name] = float(apply_scalar(op.fn, inner, op.parameters))
        result = mapped[op.name]
        if op.reduce is not None:
            result = fold_fill(op.reduce, result, math.prod(sizes[i] for i in op.over))
        fills[op.output.value] = result
        (finite.add if math.isfinite(result) else finite.discard)(op.output.value)
    if strict:
        finite &= proven
    return Fills(fills, mapped, frozenset(finite), bounds, strict)


def _is_finite(value: Value) -> bool:
    data = value.tensor.values if value.tensor is not None else None
    return math.isfinite(value.fill) and (data is None or bool(np.isfinite(data).all()))
