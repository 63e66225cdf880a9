# SPDX-License-Identifier: MIT
"""How operands are stored: the rules that find sparsity, in the order of who is asked first.

1. the user's formats, 2. those that come with the model, 3. a layout that the source states for the
tensor, 4. masks, 5. zeros counted in the data, 6. dense. Each value records which rule decided.

A format text lists levels outermost first, for the dimensions of the tensor in the model. Without a
mode order the levels are in the order in which the operand is stored anyway: what it is summed over
first. A mode order, as in ``dense,compressed@1,0``, counts the model's own dimensions. Where a
dimension was split, each part gets its level; dimensions of extent 1 may be left out.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fuseflow.errors import GraphError, Location, ModelError, UsageError
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.views import StoredOperand
from fuseflow.ir.einsum import EinsumGraph, Role, Value
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.tensor import Format, LevelFormat, dense_format, tensor_from_dense

__all__ = ["find_text", "resolve_format", "store_operands"]


def store_operands(
    graph: EinsumGraph,
    operands: Mapping[str, StoredOperand],
    options: ImportOptions,
    formats: Mapping[str, str],
) -> None:
    """Store the data of every operand in `graph` and add a note on each.

    Raises:
        UsageError: U120 if a format of the user names no tensor.
        ModelError: I021 if a format does not fit its tensor.
    """
    unknown = _unmatched(options.formats, operands)
    if unknown:
        raise _unknown_tensor(unknown[0], operands)
    for pattern in _unmatched(formats, operands):
        graph.notes.append(f'the model has a format for "{pattern}", which is no tensor of it')
    for name, operand in operands.items():
        value = graph.values[name]
        if operand.source.data is None:
            continue
        data = _stored_array(operand)
        value.format, value.origin = _choose(name, operand, data, options, formats)
        is_pattern = operand.is_mask and value.format.levels[-1:] == (LevelFormat.COMPRESSED,)
        if operand.is_mask:
            data = (data != 0).astype(np.float32)
        value.dtype = "bool" if is_pattern else "float32"
        value.tensor = tensor_from_dense(data, value.format, pattern=is_pattern)
        graph.notes.append(_describe(value, data))


def find_text(formats: Mapping[str, str], names: Iterable[str]) -> str:
    """Return the format text for a tensor known by `names`: the exact key, else the first glob."""
    known = tuple(names)
    exact = [formats[name] for name in known if name in formats]
    globs = [
        text
        for pattern, text in formats.items()
        if any(fnmatch.fnmatchcase(name, pattern) for name in known)
    ]
    return (*exact, *globs, "")[0]


def resolve_format(text: str, operand: StoredOperand) -> Format:
    """Return the format that `text` means for an operand, whose order is settled.

    Raises:
        ValueError: if it does not fit; the message says why.
    """
    try:
        wanted = parse_format(text)
    except GraphError as error:
        raise ValueError(str(error)) from error
    if wanted.tile or LevelFormat.SINGLETON in wanted.levels:
        raise ValueError("tiles and singleton levels cannot be asked for here")
    order = operand.store_as(range(len(operand.extents)))
    if "@" not in text and len(wanted.levels) == len(order):
        return Format(wanted.levels, tuple(range(len(order))))
    levels, dims = _levels_per_dimension(wanted, operand, explicit="@" in text)
    flat = [
        (level, stored)
        for level, dim in zip(levels, dims, strict=True)
        for stored in sorted(order.index(part) for part in operand.groups[dim])
    ]
    return Format(tuple(level for level, _ in flat), tuple(stored for _, stored in flat))


def _levels_per_dimension(
    wanted: Format, operand: StoredOperand, *, explicit: bool
) -> tuple[list[LevelFormat], list[int]]:
    """Return levels, and the dimension of the source that each stores, outermost first."""
    real = [dim for dim, parts in enumerate(operand.groups) if parts]
    every = list(range(len(operand.groups)))
    count = len(wanted.levels)
    if count not in (len(real), len(every)):
        shape = "x".join(map(str, operand.source.shape))
        raise ValueError(f"{count} levels for a tensor of shape {shape}")
    chosen = every if count == len(every) else real
    pairs = [(wanted.levels[n], chosen[mode]) for n, mode in enumerate(wanted.mode_order)]
    pairs = [(level, dim) for level, dim in pairs if operand.groups[dim]]
    levels, dims = [level for level, _ in pairs], [dim for _, dim in pairs]
    if not explicit:
        order = operand.store_as(())
        dims.sort(key=lambda dim: min(order.index(part) for part in operand.groups[dim]))
    return levels, dims


def _stored_array(operand: StoredOperand) -> npt.NDArray[np.float32]:
    data = np.asarray(operand.source.data).astype(np.float32)
    order = operand.store_as(range(len(operand.extents)))
    return data.reshape(operand.extents).transpose(order).copy()


def _choose(
    name: str,
    operand: StoredOperand,
    data: npt.NDArray[np.float32],
    options: ImportOptions,
    formats: Mapping[str, str],
) -> tuple[Format, str]:
    names = tuple(dict.fromkeys((name, operand.source.label or name)))
    for texts, rule in ((options.formats, "user"), (formats, "model")):
        text = find_text(texts, names)
        if text:
            return _resolve(text, operand, name), rule
    if operand.source.layout:
        text = operand.source.layout
        if operand.source.role is not Role.INPUT:
            # A weight is laid out anew, for the sum that reads it.
            text = text.partition("@")[0]
        return _resolve(text, operand, name), operand.source.layout_rule
    if operand.is_mask:
        return replace(dense_format(data.ndim), levels=_compressed(data.ndim)), "mask"
    density = np.count_nonzero(data) / data.size
    if data.ndim and data.size >= options.min_elements and density <= options.density_threshold:
        outer = (LevelFormat.DENSE,) * (data.ndim > 1)
        levels = outer + _compressed(data.ndim - len(outer))
        return replace(dense_format(data.ndim), levels=levels), "zeros"
    return dense_format(data.ndim), "dense"


def _compressed(order: int) -> tuple[LevelFormat, ...]:
    return (LevelFormat.COMPRESSED,) * order


def _resolve(text: str, operand: StoredOperand, name: str) -> Format:
    try:
        return resolve_format(text, operand)
    except ValueError as error:
        message = f'format "{text}" does not fit: {error}'
        raise ModelError("I021 bad-format", message, where=Location(field=name)) from error


def _known_names(operands: Mapping[str, StoredOperand]) -> list[str]:
    labels = (operand.source.label for operand in operands.values())
    return list(dict.fromkeys((*operands, *(label for label in labels if label))))


def _unmatched(formats: Mapping[str, str], operands: Mapping[str, StoredOperand]) -> list[str]:
    names = _known_names(operands)
    return [p for p in formats if not any(fnmatch.fnmatchcase(name, p) for name in names)]


def _unknown_tensor(pattern: str, operands: Mapping[str, StoredOperand]) -> UsageError:
    names = _known_names(operands)
    near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.3) or names
    return UsageError(
        "U120 unknown-tensor",
        f'no input, parameter or constant is called "{pattern}"',
        fix=f"use one of {', '.join(near)}",
    )


def _describe(value: Value, data: npt.NDArray[np.float32]) -> str:
    shape = "x".join(map(str, value.shape)) or "scalar"
    density = np.count_nonzero(data) / data.size
    return f"{value.name}: {shape}, density {density:.4g}, {value.format} ({value.origin})"
