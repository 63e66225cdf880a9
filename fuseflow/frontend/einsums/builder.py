# SPDX-License-Identifier: MIT
"""Tensor operators become einsums over named indices.

Operators of index algebra make views (see `views`), every other operator makes one einsum: its
axes get labels, the atoms of equally labelled axes are one index.

Not here: how axes are split into atoms (see `atoms`), and how operands are stored (see `formats`);
only the order of a constant's dimensions is decided here, at its first use: what is summed over
first, then what stays, so that the summed index is the outermost level.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fuseflow.frontend.einsums.atoms import find_atoms
from fuseflow.frontend.einsums.index_names import IndexNames
from fuseflow.frontend.einsums.views import (
    Slot,
    StoredOperand,
    View,
    missing_part,
    reindex,
    store_operand,
    view_of_stored,
)
from fuseflow.frontend.graph.ops import (
    ContractAttrs,
    MapAttrs,
    OpGraph,
    OpKind,
    OpOutput,
    OpValue,
    ReduceAttrs,
    TensorOp,
)
from fuseflow.ir.einsum import Access, Einsum, EinsumGraph, Output, Role, Value

__all__ = ["build_einsums"]

REDUCTION_NAMES = {"add": "sum", "mul": "prod"}

Key = tuple[str, int]
"""An index before it has a name: the label of an axis, and the place of the atom in the axis."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A view with a label for each of its axes."""

    view: View
    labels: tuple[str, ...]

    def keys(self) -> dict[int, Key]:
        """Return the key of each dimension of the stored value."""
        return {
            slot.dim: (label, place)
            for axis, label in zip(self.view.axes, self.labels, strict=True)
            for place, slot in enumerate(axis)
            if slot.dim is not None
        }

    def atoms(self) -> dict[Key, int]:
        """Return the atom of every key, broadcast ones included."""
        return {
            (label, place): slot.atom
            for axis, label in zip(self.view.axes, self.labels, strict=True)
            for place, slot in enumerate(axis)
        }


@dataclass(frozen=True, slots=True)
class Step:
    """The scalar part of an einsum, and how the einsum is called if not like its function."""

    fn: str
    parameters: tuple[float, ...] = ()
    reduce: str | None = None
    name: str = ""


def build_einsums(graph: OpGraph) -> tuple[EinsumGraph, dict[str, StoredOperand]]:
    """Build the einsums of `graph`, whose composites and masks have been spelled out.

    Returns the graph, whose operands have no tensors yet, and these operands by their final name.

    Raises:
        ModelError: I010 if a reshape would move data.
    """
    builder = _EinsumBuilder(graph)
    for op in graph.ops:
        builder.add(op)
    for output in graph.outputs:
        builder.add_output(output)
    builder.finish()
    return builder.result, builder.operands


class _EinsumBuilder:
    """Walks the operators of a graph once; `result` and `operands` are complete after `finish`."""

    def __init__(self, graph: OpGraph) -> None:
        self._graph = graph
        self._atoms, self._axes = find_atoms(graph)
        self._names = IndexNames()
        self._views: dict[str, View] = {}
        # The index name that each dimension of a value had when it was first seen.
        self._homes: dict[str, dict[int, str]] = {}
        self.result = EinsumGraph(graph.name, notes=list(graph.notes))
        self.operands: dict[str, StoredOperand] = {}
        for value in graph.values.values():
            if value.role is Role.INPUT:
                self._view(value.name)

    def add(self, op: TensorOp) -> None:
        """Append the einsums of one operator, or only note its view."""
        if op.kind in (OpKind.RESHAPE, OpKind.PERMUTE, OpKind.EXPAND):
            view = reindex(op, self._view(op.inputs[0]), self._axes[op.output])
        elif isinstance(op.attrs, MapAttrs):
            view = self._map(op, op.attrs)
        elif isinstance(op.attrs, ReduceAttrs):
            view = self._reduce(op, op.attrs)
        elif isinstance(op.attrs, ContractAttrs):
            view = self._contract(op, op.attrs)
        else:
            raise ValueError(f"{op.kind} must be spelled out before einsums are built")
        self._views[op.output] = view

    def add_output(self, output: OpOutput) -> None:
        """Declare a result; one that is a broadcast is multiplied by ones first."""
        view = self._view(output.value)
        if view.is_broadcast:
            view = self._write_out(output.value, view)
        dims = [slot.dim for slot in view.slots() if slot.dim is not None]
        stored = self.operands.get(view.value)
        if stored:
            order = stored.store_as(dims)
            stored.is_mask = False
            dims = [order.index(dim) for dim in dims]
        shape = self._graph.values[output.value].shape
        entry = Output(output.name, view.value, tuple(dims), shape, output.reference)
        self.result.outputs.append(entry)

    def finish(self) -> None:
        """Give operands their stored shape, and leave out inputs that nothing reads."""
        used = {access.value for access in self.result.accesses()}
        used.update(output.value for output in self.result.outputs)
        for name, operand in list(self.operands.items()):
            if name in used:
                self.result.values[name].shape = operand.shape
                continue
            del self.operands[name], self.result.values[name]
            self.result.notes.append(f"input {name} is not used")

    # Operators.

    def _map(self, op: TensorOp, attrs: MapAttrs) -> View:
        rank = len(self._axes[op.output])
        views = [self._view(name) for name in op.inputs]
        operands = [Operand(view, _labels(range(rank - len(view.axes), rank))) for view in views]
        return self._emit(op, Step(attrs.fn, attrs.parameters), operands, _labels(range(rank)))

    def _reduce(self, op: TensorOp, attrs: ReduceAttrs) -> View:
        view = self._view(op.inputs[0])
        kept = [d for d in range(len(view.axes)) if attrs.keepdim or d not in attrs.dims]
        reduced = [slot for d in attrs.dims for slot in view.axes[d]]
        if any(slot.dim is not None for slot in reduced):
            step = Step("copy", (), attrs.op, REDUCTION_NAMES.get(attrs.op, attrs.op))
            operand = Operand(view, _labels(range(len(view.axes))))
            result = self._emit(op, step, [operand], _labels(kept))
        else:
            result = View(view.value, tuple(() if d in attrs.dims else view.axes[d] for d in kept))
        copies = math.prod(self._atoms.size(slot.atom) for slot in reduced if slot.dim is None)
        return self._repeat(op, attrs.op, result, copies)

    def _contract(self, op: TensorOp, attrs: ContractAttrs) -> View:
        pairs = zip(op.inputs, attrs.operands, strict=True)
        operands = [Operand(self._view(name), labels) for name, labels in pairs]
        stored = {key for operand in operands for key in operand.keys().values()}
        lost = {
            key: atom
            for operand in operands
            for key, atom in operand.atoms().items()
            if key not in stored and key[0] not in attrs.output
        }
        name = "matmul" if any(key[0] not in attrs.output for key in stored) else "mul"
        result = self._emit(op, Step("mul", (), "add", name), operands, attrs.output)
        return self._repeat(op, "add", result, math.prod(map(self._atoms.size, lost.values())))

    def _repeat(self, op: TensorOp, reduction: str, view: View, copies: int) -> View:
        """Reduce `copies` equal values: those along an index that the operands do not have."""
        fn = {"add": "mul_scalar", "mul": "pow_scalar"}.get(reduction)
        if fn is None or copies == 1:
            return view
        labels = _labels(range(len(view.axes)))
        return self._emit(op, Step(fn, (float(copies),)), [Operand(view, labels)], labels)

    def _write_out(self, name: str, view: View) -> View:
        """Return `view` with all its atoms stored."""
        factor, shape = missing_part(view, self._unique("ones"), self._atoms)
        ones = np.ones(shape, dtype=np.float32)
        source = OpValue(factor.value, shape, Role.CONSTANT, ones)
        dims = tuple(range(len(shape)))
        self.operands[factor.value] = StoredOperand(source, tuple((d,) for d in dims), shape)
        self.result.values[factor.value] = Value(factor.value, shape, Role.CONSTANT)
        labels = _labels(range(len(view.axes)))
        op = TensorOp(OpKind.MAP, (name,), name, MapAttrs("mul"))
        step = Step("mul", name="expand")
        return self._emit(op, step, [Operand(view, labels), Operand(factor, labels)], labels)

    # Einsums.

    def _emit(
        self, op: TensorOp, step: Step, operands: Sequence[Operand], labels: Sequence[str]
    ) -> View:
        """Append one einsum; `labels` are those of the axes of its result, which is returned."""
        atoms = {key: atom for operand in operands for key, atom in operand.atoms().items()}
        stored = dict.fromkeys(key for operand in operands for key in operand.keys().values())
        axes = [
            [(label, place) for place in range(len(axis))]
            for label, axis in zip(labels, self._axes[op.output], strict=True)
        ]
        output = tuple(key for axis in axes for key in axis if key in stored)
        over = tuple(key for key in stored if key not in output)
        names = self._name_indices(operands, (*output, *over), atoms)
        name = self._unique(_einsum_name(op, step))
        accesses = tuple(self._access(o, names, (*over, *output)) for o in operands)
        self._note_masks(step, operands)
        target = Access(name, tuple(names[key] for key in output))
        reduce = step.reduce if over else None
        summed = tuple(names[key] for key in over)
        self.result.einsums.append(
            Einsum(
                name, target, step.fn, accesses, reduce, summed, step.parameters, op.composite,
                op.sources,
            )
        )  # fmt: skip
        shape = tuple(self._atoms.size(atoms[key]) for key in output)
        self.result.values[name] = Value(name, shape, Role.INTERMEDIATE)
        self._homes[name] = dict(enumerate(target.indices))
        dims = {key: dim for dim, key in enumerate(output)}
        return View(
            name, tuple(tuple(Slot(atoms[key], dims.get(key)) for key in axis) for axis in axes)
        )

    def _name_indices(
        self, operands: Sequence[Operand], keys: Iterable[Key], atoms: dict[Key, int]
    ) -> dict[Key, str]:
        """Choose a name for each key; computed values and inputs speak before constants."""
        wanted: dict[Key, list[str]] = {}
        first: dict[Key, None] = {}
        for operand in operands:
            stored = self.operands.get(operand.view.value)
            homes = self._homes.get(operand.view.value, {})
            for dim, key in operand.keys().items():
                wanted.setdefault(key, []).extend([homes[dim]] if dim in homes else [])
                if stored is None or stored.source.role is Role.INPUT:
                    first.setdefault(key)
        names: dict[Key, str] = {}
        for key in dict.fromkeys((*first, *keys)):
            taken = set(names.values())
            names[key] = self._names.choose(atoms[key], taken, wanted[key])
        return names

    def _access(self, operand: Operand, names: dict[Key, str], order: Sequence[Key]) -> Access:
        keys = operand.keys()
        dims: Sequence[int] = sorted(keys)
        stored = self.operands.get(operand.view.value)
        if stored:
            dims = stored.store_as(sorted(keys, key=lambda dim: order.index(keys[dim])))
        homes = {dim: names[keys[dim]] for dim in keys}
        self._homes.setdefault(operand.view.value, homes)
        return Access(operand.view.value, tuple(names[keys[dim]] for dim in dims))

    def _note_masks(self, step: Step, operands: Sequence[Operand]) -> None:
        for place, operand in enumerate(operands):
            stored = self.operands.get(operand.view.value)
            if stored and (step.fn != "masked" or place > 0):
                stored.is_mask = False

    def _view(self, name: str) -> View:
        """Return the view of a value; an operand gets its final name when it is first seen."""
        if name not in self._views:
            value = self._graph.values[name]
            final = self._unique(value.label or name)
            view = view_of_stored(final, self._axes[name])
            self._views[name] = view
            self.operands[final] = store_operand(value, view, self._atoms)
            if value.role is Role.INPUT or value.entries is not None:
                self.operands[final].store_as(range(len(self.operands[final].extents)))
            self.result.values[final] = Value(final, self.operands[final].extents, value.role)
        return self._views[name]

    def _unique(self, wanted: str) -> str:
        name, number = wanted, 0
        while name in self.result.values:
            number += 1
            name = f"{wanted}_{number}"
        return name


def _labels(dims: Iterable[int]) -> tuple[str, ...]:
    return tuple(map(str, dims))


def _einsum_name(op: TensorOp, step: Step) -> str:
    """Return the module that did it, and what it did there."""
    scopes = op.sources[0].scopes if op.sources else ()
    scope = scopes[-1][0] if scopes else ""
    parts = (scope, op.composite, step.name or step.fn)
    return ".".join(part for part in parts if part)
