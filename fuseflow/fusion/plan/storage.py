# SPDX-License-Identifier: MIT
"""Copies of constants in another mode order, made at compile time for one kernel.

A copy holds the same entries as its original. Which leaves need one is decided where the order of
a kernel is (`plan`), or by the schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fuseflow.fusion.analysis.views import View, ViewGraph, storage_edges
from fuseflow.fusion.lowering.lower import Plan
from fuseflow.fusion.schedule.region import Wishes, find_class
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Format, LevelFormat, tensor_from_coordinates

__all__ = ["copy_leaves", "free_leaf", "misfits", "permuted_leaves"]


def free_leaf(leaf: View) -> None:
    """Let a leaf follow any order: its copy has the same entries, all levels compressed."""
    assert leaf.format is not None
    order = len(leaf.binding)
    levels = (LevelFormat.COMPRESSED,) * order
    leaf.format = Format(levels, tuple(range(order)), leaf.format.tile)


def misfits(leaves: Iterable[View], order: Sequence[str]) -> list[View]:
    """Return the leaves that an order does not meet level by level, as they are stored."""
    position = {name: n for n, name in enumerate(order)}
    return [
        leaf
        for leaf in leaves
        if any(position[outer] > position[inner] for outer, inner in storage_edges(leaf))
    ]


def permuted_leaves(graph: ViewGraph, values: Mapping[str, Value], wishes: Wishes) -> set[View]:
    """Free the leaves that the schedule wants permuted."""
    freed: set[View] = set()
    for permute, ops in wishes.permutes:
        classes = {find_class(graph, ref, ops) for ref in permute.order}
        for leaf in graph.leaves:
            is_meant = leaf.value == permute.tensor and set(leaf.binding) == classes
            if is_meant and values[leaf.value].tensor is not None:
                free_leaf(leaf)
                freed.add(leaf)
    return freed


def copy_leaves(
    plan: Plan, values: Mapping[str, Value], freed: frozenset[View]
) -> dict[View, Value]:
    """Store the freed leaves in the chosen order, under names that say so."""
    copies: dict[View, Value] = {}
    position = {name: p for p, name in enumerate(plan.order)}
    for leaf in sorted(freed, key=lambda leaf: leaf.number):
        modes = tuple(sorted(range(len(leaf.binding)), key=lambda m: position[leaf.binding[m]]))
        copy = _stored_in_order(values[leaf.value], leaf, modes)
        copies[leaf] = values.get(copy.name, copy)
    return copies


def _stored_in_order(value: Value, leaf: View, modes: tuple[int, ...]) -> Value:
    """Return a copy of the value with the levels of its view, in an order of modes."""
    tensor = value.tensor
    assert tensor is not None
    assert leaf.format is not None
    fmt = Format(leaf.format.levels, modes, value.tile)
    entries = tensor.coordinates()
    copy = tensor_from_coordinates(tensor.shape, entries, tensor.values, fmt, fill=tensor.fill)
    return replace(value, name=f"{value.name}@{','.join(map(str, modes))}", format=fmt, tensor=copy)
