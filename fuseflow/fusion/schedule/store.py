# SPDX-License-Identifier: MIT
"""Formats that a schedule asks for: constants are stored anew, results are written so."""

from __future__ import annotations

from dataclasses import replace

from fuseflow.errors import Location, ScheduleError
from fuseflow.fusion.schedule.bind import Bindings, Bound
from fuseflow.fusion.schedule.region import find_modes
from fuseflow.ir.einsum import EinsumGraph, Value
from fuseflow.ir.schedule import Store
from fuseflow.ir.tensor import Format, Tensor, tensor_from_coordinates, tensor_from_dense

__all__ = ["apply_formats"]


def apply_formats(graph: EinsumGraph, bindings: Bindings) -> EinsumGraph:
    """Return the graph with the formats that its values shall have.

    Raises:
        ScheduleError: P011 if the indices of a format are not those of any use, P013 if its data
            cannot be stored so.
    """
    changed: dict[str, Value] = {}
    for bound in bindings.directives:
        if isinstance(bound.choice, Store):
            name = bound.choice.tensor
            changed[name] = _stored(graph, bound, bound.choice)
    return replace(graph, values=graph.values | changed) if changed else graph


def _stored(graph: EinsumGraph, bound: Bound, store: Store) -> Value:
    value = graph.values[store.tensor]
    natural = tuple(range(len(store.levels)))
    modes = store.modes
    order = find_modes(store.tensor, modes, bound.ops, graph.einsums) if modes else natural
    fmt = Format(store.levels, order, value.tile)
    if value.tensor is not None:
        return _with_data(value, value.tensor, fmt, store.fill)
    if store.fill is not None:
        raise ScheduleError(
            "P012",
            f'format "{value.name}": its fill follows from what it is computed from',
            fix="leave out the fill",
        )
    return replace(value, format=fmt)


def _with_data(value: Value, tensor: Tensor, fmt: Format, fill: float | None) -> Value:
    try:
        if fill is None or fill == tensor.fill:
            entries = tensor.coordinates()
            new = tensor_from_coordinates(
                tensor.shape, entries, tensor.values, fmt, fill=tensor.fill
            )
        else:
            new = tensor_from_dense(tensor.to_dense(), fmt, fill=fill)
    except ValueError as error:
        raise ScheduleError(
            "P013",
            f"its data cannot be stored as {fmt}: {error}",
            where=Location(node=value.name, field="format"),
        ) from error
    return replace(value, format=fmt, fill=new.fill, tensor=new)
