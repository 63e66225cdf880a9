# SPDX-License-Identifier: MIT
"""How operands are stored: the rules that find sparsity, in the order of who is asked first.

1. the user's formats, 2. the user's sidecar, 3. formats that come with the model, 4. a layout that
the source states for the tensor, 5. masks, 6. zeros counted in the data, 7. dense. Each value
records which rule decided, and the notes of the graph say it of every tensor, with its density and
the blocks that its pattern consists of.

Not here: what a format text means (`storage.format_text`), and which tensor a user means
(`storage.addresses`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, ModelError, UsageError
from fuseflow.frontend.einsums.views import StoredOperand
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.storage.addresses import (
    Address,
    find_addresses,
    matches_name,
    nearest,
    require_matches,
)
from fuseflow.frontend.storage.blocks import block_text, consists_of
from fuseflow.frontend.storage.entry_storage import default_format, store_entries
from fuseflow.frontend.storage.format_text import find_text, resolve_format
from fuseflow.frontend.storage.sidecar import SidecarEntry
from fuseflow.ir.einsum import EinsumGraph, Role, Value
from fuseflow.ir.tensor import Format, LevelFormat, dense_format, tensor_from_dense

__all__ = ["store_operands"]

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What is said about formats: by the user, in a sidecar, and by whoever made the model."""

    options: ImportOptions
    formats: Mapping[str, str]
    addresses: Mapping[str, Address]

    def entries(self, name: str) -> list[SidecarEntry]:
        """Return the entries of the sidecar that mean a tensor, in the order of the file."""
        return [each for each in self.options.sidecar if self.addresses[name].fits(each)]


def store_operands(
    graph: EinsumGraph,
    operands: Mapping[str, StoredOperand],
    options: ImportOptions,
    formats: Mapping[str, str],
) -> None:
    """Store the data of every operand in `graph` and add a note on each.

    Raises:
        UsageError: U120 if a format or an entry of the sidecar names no tensor.
        ModelError: I021 if a format, a fill or a block does not fit its tensor.
    """
    addresses = find_addresses(graph, operands)
    known = [name for address in addresses.values() for name in address.names]
    for pattern in _unmatched(options.formats, known):
        raise _unknown_tensor(pattern, known)
    require_matches(options.sidecar, addresses)
    for pattern in _unmatched(formats, known):
        graph.notes.append(f'the model has a format for "{pattern}", which is no tensor of it')
    rules = _Rules(options, formats, addresses)
    for name, operand in operands.items():
        if operand.source.entries is not None:
            _store_entries(graph, name, operand, rules)
        elif operand.source.data is not None:
            _store(graph, name, operand, rules)


def _store_entries(graph: EinsumGraph, name: str, operand: StoredOperand, rules: _Rules) -> None:
    """Store an operand that is given by its entries, without ever making it dense."""
    value, entries = graph.values[name], operand.source.entries
    assert entries is not None, "the caller has looked"
    stated = next(((text, rule) for text, rule in _stated(name, operand, rules) if text), None)
    value.format, value.origin = default_format(operand), operand.source.layout_rule
    if stated is not None:
        value.format, value.origin = _resolve(stated[0], operand, name), stated[1]
    if _fill(graph, operand, value, rules.entries(name)):
        message = "a matrix of edges has the fill 0"
        raise ModelError("I021 bad-format", message, where=Location(field=name))
    is_pattern = operand.is_mask and value.format.levels[-1:] == (LevelFormat.COMPRESSED,)
    value.dtype = "bool" if is_pattern else "float32"
    value.tensor = store_entries(operand, entries, value.format, pattern=is_pattern)
    density = len(entries) / max(operand.source.size, 1)
    graph.notes += _claims(rules.entries(name), name, density)
    graph.notes.append(_describe(value, density, ""))


def _store(graph: EinsumGraph, name: str, operand: StoredOperand, rules: _Rules) -> None:
    value, entries, data = graph.values[name], rules.entries(name), _stored_array(operand)
    value.format, value.origin = _choose(name, operand, data, rules)
    value.fill = _fill(graph, operand, value, entries)
    is_pattern = operand.is_mask and value.format.levels[-1:] == (LevelFormat.COMPRESSED,)
    if operand.is_mask:
        data = (data != 0).astype(np.float32)
    value.dtype = "bool" if is_pattern else "float32"
    value.tensor = tensor_from_dense(data, value.format, fill=value.fill, pattern=is_pattern)
    pattern = np.asarray(operand.source.data).astype(np.float32) != value.fill
    _check_blocks(entries, name, pattern)
    density = np.count_nonzero(pattern) / pattern.size
    graph.notes += _claims(entries, name, density)
    graph.notes.append(_describe(value, density, block_text(pattern)))


def _choose(name: str, operand: StoredOperand, data: Array, rules: _Rules) -> tuple[Format, str]:
    """Return the format of an operand and the rule that decided it."""
    for text, rule in _stated(name, operand, rules):
        if text:
            return _resolve(text, operand, name), rule
    if operand.is_mask:
        return replace(dense_format(data.ndim), levels=_compressed(data.ndim)), "mask"
    density, options = np.count_nonzero(data) / data.size, rules.options
    if data.ndim and data.size >= options.min_elements and density <= options.density_threshold:
        outer = (LevelFormat.DENSE,) * (data.ndim > 1)
        levels = outer + _compressed(data.ndim - len(outer))
        return replace(dense_format(data.ndim), levels=levels), "zeros"
    return dense_format(data.ndim), "dense"


def _stated(name: str, operand: StoredOperand, rules: _Rules) -> list[tuple[str, str]]:
    """Return the format texts that someone states for an operand, each with its rule."""
    names = rules.addresses[name].names
    source = operand.source
    layout = source.layout
    if source.role is not Role.INPUT:
        # A weight is laid out anew, for the sum that reads it.
        layout = layout.partition("@")[0]
    sidecar = [(each.format_text, f"sidecar {each.where}") for each in rules.entries(name)]
    return [
        (find_text(rules.options.formats, names), "user"),
        *sidecar,
        (find_text(rules.formats, names), "model"),
        (layout, source.layout_rule),
    ]


def _fill(
    graph: EinsumGraph, operand: StoredOperand, value: Value, entries: Iterable[SidecarEntry]
) -> float:
    """Return what the entries that are not stored equal.

    The fill of a mask is what it puts in place of the scores that it hides, which the model says;
    an entry of the sidecar may only repeat it.
    """
    stated = [(each.fill, each.where) for each in entries if each.fill is not None]
    if not stated:
        return 0.0
    fill, where = stated[0]
    if not operand.is_mask:
        return fill
    readers = graph.consumers()[value.name]
    hidden = {op.parameters[0] for op in readers if op.fn == "masked"} | {0.0}
    if fill not in hidden:
        message = f"fill {fill:g} does not fit: the mask puts {', '.join(map(str, sorted(hidden)))}"
        raise ModelError("I021 bad-format", message, where=Location(where, field=value.name))
    return 0.0


def _check_blocks(
    entries: Iterable[SidecarEntry], name: str, pattern: npt.NDArray[np.bool_]
) -> None:
    for each in entries:
        if each.block and not consists_of(pattern, each.block):
            found = block_text(pattern) or "no blocks"
            wanted = "x".join(map(str, each.block))
            shape = "x".join(map(str, pattern.shape))
            message = f"the pattern ({shape}) has {found}, not blocks {wanted}"
            raise ModelError("I021 bad-format", message, where=Location(each.where, field=name))


def _claims(entries: Iterable[SidecarEntry], name: str, density: float) -> list[str]:
    """Return notes on densities of the sidecar that are not those of the data."""
    return [
        f"{name}: {each.where} gives the density {each.density:.4g}, its data have {density:.4g}"
        for each in entries
        if each.density is not None and abs(each.density - density) > 0.05 * each.density
    ]


def _stored_array(operand: StoredOperand) -> Array:
    data = np.asarray(operand.source.data).astype(np.float32)
    order = operand.store_as(range(len(operand.extents)))
    return data.reshape(operand.extents).transpose(order).copy()


def _compressed(order: int) -> tuple[LevelFormat, ...]:
    return (LevelFormat.COMPRESSED,) * order


def _resolve(text: str, operand: StoredOperand, name: str) -> Format:
    try:
        return resolve_format(text, operand)
    except ValueError as error:
        message = f'format "{text}" does not fit: {error}'
        raise ModelError("I021 bad-format", message, where=Location(field=name)) from error


def _unmatched(formats: Mapping[str, str], known: list[str]) -> list[str]:
    return [pattern for pattern in formats if not matches_name(pattern, known)]


def _unknown_tensor(pattern: str, known: Iterable[str]) -> UsageError:
    return UsageError(
        "U120 unknown-tensor",
        f'no input, parameter or constant is called "{pattern}"',
        fix=f"use one of {', '.join(nearest(pattern, known))}",
    )


def _describe(value: Value, density: float, blocks: str) -> str:
    shape = "x".join(map(str, value.shape)) or "scalar"
    text = f"{value.name}: {shape}, density {density:.4g}, {value.format} ({value.origin})"
    return f"{text}, {blocks}" if blocks else text
