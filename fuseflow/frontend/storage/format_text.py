# SPDX-License-Identifier: MIT
"""What a format text means for an operand, whose dimensions may have been split and reordered.

A format text lists levels outermost first, for the dimensions of the tensor in the model. Without a
mode order the levels are in the order in which the operand is stored anyway: what it is summed over
first. A mode order, as in ``dense,compressed@1,0``, counts the model's own dimensions. Where a
dimension was split, each part gets its level; dimensions of extent 1 may be left out.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping

from fuseflow.errors import GraphError
from fuseflow.frontend.einsums.views import StoredOperand
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.tensor import Format, LevelFormat

__all__ = ["find_text", "resolve_format"]


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
