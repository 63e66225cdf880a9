# SPDX-License-Identifier: MIT
"""Values per edge as values over (target, source), and what stands where there is no edge.

A part either is full, which means it varies with the target or the source only, or is stored on
the pattern of the edges and equals `fill` elsewhere. Functions are spelled so that no result is
ever stored where there is no edge: a fill that a function absorbs stays, any other is replaced.

Not here: which operator of the model becomes what (see `messages.pattern`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.entries import Entries
from fuseflow.frontend.graph.ops import OpValue
from fuseflow.frontend.messages.pairs import Pairs
from fuseflow.ir.einsum import Role
from fuseflow.ir.scalar import SCALAR_FUNCTIONS, apply_scalar

__all__ = ["Part", "PatternSpeller", "Weights"]

INF = float("inf")

Weights = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A value of the new graph whose axes `axis` and `axis` + 1 are target and source.

    `rank` counts the axes of the value per edge, one less. `fill` is None for a full part.
    """

    name: str
    axis: int
    rank: int
    fill: float | None = None


class PatternSpeller:
    """Spells operations on parts over the edges of `pairs`.

    `matrices` keeps the constants that were made, so that layers of one graph share them.
    """

    def __init__(self, b: OpBuilder, pairs: Pairs, matrices: dict[bytes, str]) -> None:
        self.b = b
        self._pairs = pairs
        self._matrices = matrices

    def gathered(self, x: str, axis: int, *, by_target: bool) -> Part:
        """Return what each edge reads of a value of nodes along `axis`."""
        shape = self.b.shape(x)
        corner = (shape[axis], 1) if by_target else (1, shape[axis])
        name = self.b.reshape(x, (*shape[:axis], *corner, *shape[axis + 1 :]))
        return Part(name, axis, len(shape))

    def matrix(self, axis: int, rank: int, weights: Weights | None = None, label: str = "") -> Part:
        """Return the weights of the edges, or ones, with zeros elsewhere.

        `weights` has the axes of a value per edge from `axis` on; repeated edges are summed.
        """
        pairs = self._pairs
        given = np.ones(len(pairs.targets)) if weights is None else weights
        key = pairs.identity + str(given.shape).encode() + np.ascontiguousarray(given).tobytes()
        if key not in self._matrices:
            self._matrices[key] = self._store(given, label or pairs.label)
        name = self._matrices[key]
        shape = (*(1,) * axis, *self.b.shape(name))
        shape += (1,) * (rank + 1 - len(shape))
        return Part(self.b.reshape(name, shape), axis, rank, 0.0)

    def masked(self, part: Part, fill: float) -> Part:
        """Return a part that is stored on the edges and equals `fill` elsewhere."""
        if part.fill == fill:
            return part
        mask = self.matrix(part.axis, part.rank)
        name = self.b.map("masked", mask.name, part.name, parameters=(fill,))
        return replace(part, name=name, fill=fill)

    def apply(self, fn: str, parameters: Sequence[float], parts: Sequence[Part]) -> Part:
        """Apply a function of one or two operands."""
        rank = max(part.rank for part in parts)
        parts = [self._widened(part, rank) for part in parts]
        if len(parts) == 2:
            parts = self._reconcile(fn, *parts)
        name, axis = self.b.map(fn, *(p.name for p in parts), parameters=parameters), parts[0].axis
        if all(part.fill is None for part in parts):
            return Part(name, axis, rank)
        # A full operand beside a stored one does not matter off the edges: any number will do.
        fills = [1.0 if part.fill is None else part.fill for part in parts]
        return Part(name, axis, rank, float(apply_scalar(fn, tuple(fills), tuple(parameters))))

    def product(self, parts: Sequence[Part]) -> Part:
        """Multiply parts from left to right."""
        result, *rest = parts
        for part in rest:
            result = self.apply("mul", (), (result, part))
        return result

    def spans_source(self, part: Part) -> bool:
        """True if a part varies with the source."""
        return self._extent(part, 1) > 1

    def summed(self, stored: Part, full: Part | None) -> str:
        """Sum `stored` times `full` over the sources; `stored` has the fill 0."""
        if full is None:
            return self.b.reduce("add", stored.name, (stored.axis + 1,))
        rank = max(stored.rank, full.rank)
        axis = stored.axis + rank - stored.rank
        before, after = range(axis), range(axis + 1, rank)
        labels = (*(f"d{d}" for d in before), "i", "j", *(f"d{d}" for d in after))
        names = stored.name, full.name
        terms = [labels[len(labels) - len(self.b.shape(name)) :] for name in names]
        return self.b.contract(names, terms, [label for label in labels if label != "j"])

    def extremum(self, op: str, part: Part, empty: float) -> str:
        """Return the max or min over the sources; nodes without edges get `empty`."""
        stored = self.masked(part, -INF if op == "max" else INF)
        result = self.b.reduce(op, stored.name, (part.axis + 1,))
        if not self._pairs.has_empty_rows:
            return result
        rows = np.zeros(self._pairs.rows, dtype=np.bool_)
        rows[self._pairs.targets] = True
        named = self.b.constant(rows.reshape(-1, *(1,) * (part.rank - 1 - part.axis)), "has_edges")
        return self.b.map("masked", named, result, parameters=(empty,))

    def _extent(self, part: Part, which: int) -> int:
        """Return the extent of the axis of targets (0) or sources (1)."""
        return self.b.shape(part.name)[part.axis + which]

    def _widened(self, part: Part, rank: int) -> Part:
        """Return a part with axes of extent 1 in front, as broadcasting adds them."""
        more = rank - part.rank
        name = self.b.reshape(part.name, ((1,) * more + self.b.shape(part.name)))
        return Part(name, part.axis + more, rank, part.fill)

    def _reconcile(self, fn: str, left: Part, right: Part) -> tuple[Part, Part]:
        """Return two operands of a function such that the result has one fill, or is full."""
        pair = [left, right]
        stored = [place for place in (0, 1) if pair[place].fill is not None]
        if len(stored) == 2:
            return left, right
        absorbing = SCALAR_FUNCTIONS[fn].absorbing
        if stored:
            (place,) = stored
            if pair[place].fill not in absorbing[place]:
                pair[1 - place] = self.masked(pair[1 - place], _neutral(fn, 1 - place))
            return pair[0], pair[1]
        spans = [any(self._extent(part, which) > 1 for part in pair) for which in (0, 1)]
        if not all(spans):
            return left, right
        # The operand of the sources is the one to store: it is read edge by edge anyway.
        order = sorted((0, 1), key=lambda place: self._extent(pair[place], 1) == 1)
        for place in order:
            if absorbing[place]:
                fill = -INF if -INF in absorbing[place] else absorbing[place][0]
                pair[place] = self.masked(pair[place], fill)
                return pair[0], pair[1]
        return self.masked(left, _neutral(fn, 0)), self.masked(right, _neutral(fn, 1))

    def _store(self, weights: Weights, label: str) -> str:
        pairs = self._pairs
        corners, values = pairs.place(weights)
        rest = values.shape[1:]
        inner = np.argwhere(np.ones(rest, dtype=np.bool_))
        coordinates = np.concatenate(
            [np.repeat(corners, len(inner), axis=0), np.tile(inner, (len(corners), 1))], axis=1
        )
        numbers = values.reshape(-1)
        entries = Entries(coordinates, None if (numbers == 1).all() else numbers)
        shape = (pairs.rows, pairs.columns, *rest)
        return self.b.add_value(
            OpValue(label, shape, Role.CONSTANT, layout_rule="edges", entries=entries)
        )


def _neutral(fn: str, place: int) -> float:
    """Return a fill that does no harm: nothing is divided by 0."""
    return 1.0 if fn in ("div", "safe_div") and place == 1 else 0.0
