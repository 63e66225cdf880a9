# SPDX-License-Identifier: MIT
"""Index algebra: every axis of every tensor is an ordered product of atoms.

A reshape does not compute anything, it regroups atoms; where it splits an axis, the atom is refined
everywhere in the graph. `find_atoms` gives each axis its final sequence of atoms. Axes of extent 1
have none.

Not here: which index name an atom gets in an einsum (see `einsums.builder`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fuseflow.errors import ModelError
from fuseflow.frontend.graph.location import locate
from fuseflow.frontend.graph.ops import (
    ContractAttrs,
    OpGraph,
    OpKind,
    PermuteAttrs,
    ReduceAttrs,
    TensorOp,
)

__all__ = ["AtomTable", "Axis", "find_atoms", "reshape_groups"]

Axis = tuple[int, ...]
Axes = dict[str, tuple[Axis, ...]]
Shape = tuple[int, ...]


class AtomTable:
    """Atoms by number: equal ones are merged, and an atom may be refined into a product."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._parents: list[int] = []
        self._parts: dict[int, tuple[int, int]] = {}

    def fresh(self, size: int) -> int:
        """Return a new atom."""
        self._sizes.append(size)
        self._parents.append(len(self._parents))
        return self._parents[-1]

    def size(self, atom: int) -> int:
        """Return the extent of an atom."""
        return self._sizes[atom]

    def leaves(self, atoms: Sequence[int]) -> Axis:
        """Return the representatives of the finest atoms of a product, outermost first."""
        found: list[int] = []
        stack = list(reversed(atoms))
        while stack:
            atom = self._find(stack.pop())
            if atom in self._parts:
                stack.extend(reversed(self._parts[atom]))
            else:
                found.append(atom)
        return tuple(found)

    def equate(self, first: Sequence[int], second: Sequence[int]) -> bool:
        """Make two products of equal size the same, refining both; False if they do not nest."""
        left, right = list(reversed(first)), list(reversed(second))
        while left and right:
            a, b = self._pop_leaf(left), self._pop_leaf(right)
            if a == b:
                continue
            if self._sizes[a] == self._sizes[b]:
                self._parents[b] = a
            elif self._sizes[a] % self._sizes[b] == 0:
                left.append(self._refine(a, b))
            elif self._sizes[b] % self._sizes[a] == 0:
                right.append(self._refine(b, a))
            else:
                return False
        return True

    def _refine(self, atom: int, outer: int) -> int:
        """Split `atom` into `outer` times a new atom, which is returned."""
        inner = self.fresh(self._sizes[atom] // self._sizes[outer])
        self._parts[atom] = (outer, inner)
        return inner

    def _pop_leaf(self, stack: list[int]) -> int:
        atom = self._find(stack.pop())
        while atom in self._parts:
            outer, inner = self._parts[atom]
            stack.append(inner)
            atom = self._find(outer)
        return atom

    def _find(self, atom: int) -> int:
        while self._parents[atom] != atom:
            self._parents[atom] = self._parents[self._parents[atom]]
            atom = self._parents[atom]
        return atom


def find_atoms(graph: OpGraph) -> tuple[AtomTable, dict[str, tuple[Axis, ...]]]:
    """Return the atoms, and for each value the sequence of atoms of each of its axes.

    Raises:
        ModelError: I010 if an operator regroups axes that have no common refinement.
    """
    table = AtomTable()
    axes: Axes = {
        name: tuple((table.fresh(extent),) if extent != 1 else () for extent in value.shape)
        for name, value in graph.values.items()
    }
    for op in graph.ops:
        for first, second in _equal_axes(graph, op, axes):
            if not table.equate(first, second):
                raise _no_refinement(graph, op)
    return table, {name: tuple(map(table.leaves, value)) for name, value in axes.items()}


def reshape_groups(old: Shape, new: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the smallest consecutive groups of dimensions whose products agree, without ones."""
    rest_old = [d for d, extent in enumerate(old) if extent != 1]
    rest_new = [d for d, extent in enumerate(new) if extent != 1]
    while rest_old and rest_new:
        group_old, group_new = [rest_old.pop(0)], [rest_new.pop(0)]
        left, right = old[group_old[0]], new[group_new[0]]
        while left != right:
            if left < right:
                group_old.append(rest_old.pop(0))
                left *= old[group_old[-1]]
            else:
                group_new.append(rest_new.pop(0))
                right *= new[group_new[-1]]
        yield group_old, group_new


def _equal_axes(graph: OpGraph, op: TensorOp, axes: Axes) -> Iterator[tuple[Axis, Axis]]:
    """Yield pairs of products of atoms that `op` makes equal."""
    out, attrs = axes[op.output], op.attrs
    if isinstance(attrs, ContractAttrs):
        yield from _equal_labels(op, attrs, axes)
    elif isinstance(attrs, PermuteAttrs):
        yield from ((axes[op.inputs[0]][d], out[place]) for place, d in enumerate(attrs.order))
    elif isinstance(attrs, ReduceAttrs):
        kept = [d for d in range(len(axes[op.inputs[0]])) if d not in attrs.dims]
        places = kept if attrs.keepdim else range(len(kept))
        yield from ((axes[op.inputs[0]][d], out[p]) for d, p in zip(kept, places, strict=True))
    elif op.kind is OpKind.RESHAPE:
        shapes = graph.values[op.inputs[0]].shape, graph.values[op.output].shape
        for old, new in reshape_groups(*shapes):
            before = tuple(atom for d in old for atom in axes[op.inputs[0]][d])
            yield before, tuple(atom for d in new for atom in out[d])
    else:
        for name in op.inputs:
            aligned = out[len(out) - len(axes[name]) :]
            yield from ((a, b) for a, b in zip(axes[name], aligned, strict=True) if a and b)


def _equal_labels(op: TensorOp, attrs: ContractAttrs, axes: Axes) -> Iterator[tuple[Axis, Axis]]:
    first: dict[str, Axis] = {}
    for name, labels in zip((*op.inputs, op.output), (*attrs.operands, attrs.output), strict=True):
        for label, axis in zip(labels, axes[name], strict=True):
            if axis:
                yield first.setdefault(label, axis), axis


def _no_refinement(graph: OpGraph, op: TensorOp) -> ModelError:
    shapes = ", ".join(_text(graph.values[name].shape) for name in op.inputs)
    result = _text(graph.values[op.output].shape)
    return ModelError(
        "I010 no-common-refinement",
        f"{op.kind} of {shapes} to {result} would move data: its axes cannot be split into "
        "common factors, here or where the same axis is reshaped elsewhere",
        where=locate(op.sources[0]) if op.sources else None,
        fix="reshape only by splitting axes into factors and merging neighbouring axes",
    )


def _text(shape: Shape) -> str:
    return "[" + ",".join(map(str, np.asarray(shape, dtype=int))) + "]"
