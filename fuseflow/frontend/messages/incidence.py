# SPDX-License-Identifier: MIT
"""Gathers and scatters as products with incidence matrices, which is always possible.

X[e,f] = S[e,j] * H[j,f] reads the source of each edge, Y[i,f] = T[i,e] * X[e,f] sums at the target;
S and T have a single one per edge. What is computed in between stays a value per edge.
"""

from __future__ import annotations

import numpy as np

from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.entries import Entries
from fuseflow.frontend.graph.ops import GatherAttrs, OpValue, ScatterAttrs, TensorOp
from fuseflow.frontend.messages.regions import Surroundings
from fuseflow.ir.einsum import Role

__all__ = ["IncidenceForm"]


class IncidenceForm:
    """Rewrites gathers and scatters one by one; other operators stay as they are."""

    def __init__(self, around: Surroundings, matrices: dict[bytes, str]) -> None:
        self._around = around
        self._matrices = matrices

    def rule(self, b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str | None:
        """Spell one operator, or return None to keep it."""
        if isinstance(op.attrs, GatherAttrs):
            return self._gather(b, op, inputs[0], op.attrs.dim)
        if isinstance(op.attrs, ScatterAttrs) and op.attrs.op == "add":
            return self._sum(b, op, inputs[0], op.attrs)
        if isinstance(op.attrs, ScatterAttrs):
            return self._extremum(b, op, inputs[0], op.attrs)
        return None

    def _gather(self, b: OpBuilder, op: TensorOp, x: str, dim: int) -> str:
        indices = self._around.indices(op)
        if len(indices) and (np.diff(indices) == 1).all():
            return b.slice(x, dim, int(indices[0]), int(indices[-1]) + 1)
        matrix = self._matrix(b, op, b.shape(x)[dim], transposed=False)
        labels = [f"d{d}" for d in range(len(b.shape(x)))]
        output = [*labels[:dim], "e", *labels[dim + 1 :]]
        return b.contract((matrix, x), (("e", labels[dim]), labels), output)

    def _sum(self, b: OpBuilder, op: TensorOp, x: str, attrs: ScatterAttrs) -> str:
        matrix = self._matrix(b, op, attrs.extent, transposed=True)
        labels = [f"d{d}" for d in range(len(b.shape(x)))]
        output = [*labels[: attrs.dim], "i", *labels[attrs.dim + 1 :]]
        return b.contract((matrix, x), (("i", labels[attrs.dim]), labels), output)

    def _extremum(self, b: OpBuilder, op: TensorOp, x: str, attrs: ScatterAttrs) -> str:
        """Mask the values of all edges by target, and take the largest or smallest."""
        matrix = self._matrix(b, op, attrs.extent, transposed=True)
        inner = (1,) * (len(b.shape(x)) - 1 - attrs.dim)
        mask = b.reshape(matrix, (*b.shape(matrix), *inner))
        wide = b.unsqueeze(x, (attrs.dim,))
        fill = -np.inf if attrs.op == "max" else np.inf
        y = b.map("masked", mask, wide, parameters=(fill,))
        y = b.reduce(attrs.op, y, (attrs.dim + 1,))
        reached = np.zeros(attrs.extent, dtype=np.bool_)
        reached[self._around.indices(op)] = True
        if reached.all():
            return y
        rows = b.constant(reached.reshape(-1, *inner), "has_edges")
        return b.map("masked", rows, y, parameters=(attrs.empty,))

    def _matrix(self, b: OpBuilder, op: TensorOp, extent: int, *, transposed: bool) -> str:
        """Return the matrix of edges by nodes, or of nodes by edges."""
        indices = self._around.indices(op)
        key = b"incidence" + bytes((transposed,)) + str(extent).encode() + indices.tobytes()
        if key not in self._matrices:
            pairs = (np.arange(len(indices)), indices)
            coordinates = np.stack(pairs[::-1] if transposed else pairs, axis=1)
            shape = (extent, len(indices)) if transposed else (len(indices), extent)
            label = self._around.label(op.inputs[1])
            entries = Entries(coordinates)
            value = OpValue(label, shape, Role.CONSTANT, layout_rule="edges", entries=entries)
            self._matrices[key] = b.add_value(value)
        return self._matrices[key]
