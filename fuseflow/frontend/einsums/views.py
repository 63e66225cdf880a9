# SPDX-License-Identifier: MIT
"""Views: how a tensor of the source reads a stored value, atom by atom.

Operators of index algebra only make new views of the same value. An atom that no stored dimension
provides is a broadcast, and stays one until an operand that has it comes along.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fuseflow.frontend.einsums.atoms import AtomTable, Axis
from fuseflow.frontend.graph.ops import OpKind, OpValue, PermuteAttrs, TensorOp

__all__ = [
    "Slot",
    "StoredOperand",
    "View",
    "missing_part",
    "reindex",
    "store_operand",
    "view_of_stored",
]


@dataclass(frozen=True, slots=True)
class Slot:
    """One atom of an axis of a view: dimension `dim` of the stored value, or None (broadcast)."""

    atom: int
    dim: int | None


@dataclass(frozen=True, slots=True)
class View:
    """The slots of each axis of a tensor that is read from the value named `value`."""

    value: str
    axes: tuple[tuple[Slot, ...], ...]

    def slots(self) -> Iterator[Slot]:
        """Yield the slots of all axes, outermost first."""
        return itertools.chain.from_iterable(self.axes)

    @property
    def is_broadcast(self) -> bool:
        """True if the view has an atom that the stored value lacks."""
        return any(slot.dim is None for slot in self.slots())


@dataclass(slots=True)
class StoredOperand:
    """An input, parameter or constant, and how it is stored.

    `groups` has the dimensions of the stored value that each axis of `source` is split into, and
    `extents` their extents, in the order of the source. `order` is the order in which they are
    stored, None until the first use decides. `is_mask` says that every use is as a mask.
    """

    source: OpValue
    groups: tuple[tuple[int, ...], ...]
    extents: tuple[int, ...]
    order: tuple[int, ...] | None = None
    is_mask: bool = True

    def store_as(self, order: Sequence[int]) -> tuple[int, ...]:
        """Settle the order of the dimensions unless it is settled already; return it."""
        if self.order is None:
            self.order = tuple(order)
        return self.order

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the extents in storage order."""
        return tuple(self.extents[dim] for dim in self.store_as(range(len(self.extents))))


def view_of_stored(name: str, axes: Sequence[Axis]) -> View:
    """Return the view of a value whose dimensions are the atoms of `axes`, outermost first."""
    dims = itertools.count()
    return View(name, tuple(tuple(Slot(atom, next(dims)) for atom in axis) for axis in axes))


def store_operand(source: OpValue, view: View, atoms: AtomTable) -> StoredOperand:
    """Return the record of an operand that `view` reads as the source has it."""
    groups = tuple(tuple(s.dim for s in axis if s.dim is not None) for axis in view.axes)
    return StoredOperand(source, groups, tuple(atoms.size(slot.atom) for slot in view.slots()))


def reindex(op: TensorOp, view: View, axes: Sequence[Axis]) -> View:
    """Return the view that a reshape, permute or expand makes; `axes` are those of its result."""
    if isinstance(op.attrs, PermuteAttrs):
        return View(view.value, tuple(view.axes[d] for d in op.attrs.order))
    if op.kind is OpKind.RESHAPE:
        slots = view.slots()
        return View(view.value, tuple(tuple(next(slots) for _ in axis) for axis in axes))
    new: tuple[tuple[Slot, ...], ...] = ((),) * (len(axes) - len(view.axes))
    pairs = zip(new + view.axes, axes, strict=True)
    expanded = (own or tuple(Slot(atom, None) for atom in axis) for own, axis in pairs)
    return View(view.value, tuple(expanded))


def missing_part(view: View, name: str, atoms: AtomTable) -> tuple[View, tuple[int, ...]]:
    """Return the view of a value that has exactly the atoms that `view` lacks, and its shape."""
    dims = itertools.count()
    axes = tuple(
        tuple(Slot(slot.atom, next(dims) if slot.dim is None else None) for slot in axis)
        for axis in view.axes
    )
    shape = tuple(atoms.size(slot.atom) for slot in view.slots() if slot.dim is None)
    return View(name, axes), shape
