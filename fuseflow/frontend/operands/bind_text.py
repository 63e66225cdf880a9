# SPDX-License-Identifier: MIT
"""Operands in plain text: edge lists, and tensors as lists of entries (FROSTT's .tns).

Lines hold numbers separated by blanks; what follows # or % is a comment. Nodes of an edge list
count from 0, coordinates of a .tns file from 1. Not here: which suffix means which (`bind`).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.operands.operand import (
    LIMIT_BYTES,
    Operand,
    entry_remarks,
    require_size,
    wrong_file,
)

__all__ = ["read_edges", "read_tns"]

# A number takes at least two bytes of text and eight of memory.
_LIMIT_TEXT = LIMIT_BYTES // 4
_WEIGHTS = "weights"

Numbers = npt.NDArray[np.float64]


def read_edges(path: Path, key: str) -> Operand:
    """Read lines of ``source target [weight]``; the key "weights" asks for the third column.

    Raises ModelError I204 if there is a line of another kind.
    """
    if key not in ("", _WEIGHTS):
        raise wrong_file(path, f'has no operand "{key}"', fix=f"FILE, or FILE:{_WEIGHTS}")
    rows = _read_rows(path)
    if rows.size == 0:
        rows = np.zeros((0, 3))
    if rows.shape[1] not in (2, 3):
        raise wrong_file(path, f"has lines of {rows.shape[1]} numbers, an edge has 2 or 3")
    if key == _WEIGHTS:
        if rows.shape[1] == 2:
            raise wrong_file(path, "has no third column of weights")
        return Operand(rows[:, 2].astype(np.float32), f"{path}:{key}")
    pairs = _integers(path, rows[:, :2], least=0)
    return Operand(np.ascontiguousarray(pairs.T), str(path), is_edges=True)


def read_tns(path: Path, key: str) -> Operand:
    """Read lines of coordinates and a value; entries of the same coordinates are summed.

    Raises ModelError I204 if a coordinate is not a whole number from 1, or the file is empty.
    """
    if key:
        raise wrong_file(path, f'holds one tensor, it has no key "{key}"')
    rows = _read_rows(path)
    if rows.size == 0 or rows.shape[1] < 2:
        raise wrong_file(path, "has no lines of coordinates and a value")
    places = _integers(path, rows[:, :-1], least=1) - 1
    extents = tuple(int(extent) for extent in places.max(axis=0) + 1)
    require_size(path, int(np.prod(extents, dtype=object)), 4)
    array = np.zeros(extents, dtype=np.float32)
    np.add.at(array, tuple(places.T), rows[:, -1].astype(np.float32))
    layout = ",".join(["compressed"] * len(extents))
    remarks = entry_remarks(path.name, places, rows[:, -1])
    return Operand(array, path.name, layout, is_open=True, remarks=remarks)


def _read_rows(path: Path) -> Numbers:
    if path.stat().st_size > _LIMIT_TEXT:
        raise wrong_file(path, f"is larger than {_LIMIT_TEXT >> 20} MiB")
    try:
        with warnings.catch_warnings():
            # A file without edges is an empty graph, not something to warn of.
            warnings.simplefilter("ignore")
            return np.loadtxt(path, comments=("#", "%"), ndmin=2, dtype=np.float64)
    except (ValueError, OSError, MemoryError) as error:
        raise wrong_file(path, f"is not a table of numbers: {error}") from error


def _integers(path: Path, numbers: Numbers, *, least: int) -> npt.NDArray[np.int64]:
    whole = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53)
    if not whole.all() or numbers.min(initial=least) < least:
        raise wrong_file(path, f"has an index that is not a whole number from {least}")
    return numbers.astype(np.int64)
