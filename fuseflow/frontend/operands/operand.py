# SPDX-License-Identifier: MIT
"""The data of one input of a model, and the forms that an input may want it in.

Not here: how files are read (`bind`), and which inputs a model has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, ModelError

__all__ = [
    "LIMIT_BYTES",
    "Operand",
    "as_wanted",
    "convert",
    "entry_remarks",
    "random_operand",
    "require_size",
    "wrong_file",
]

# Bytes of one operand as a dense array.
LIMIT_BYTES = 2**31

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """The data of one input: a dense array of the dtype in the file.

    `layout` is the format text of how the file stored it, empty for dense; `file` names the file,
    with its key. `is_edges` says that the array is a list of edges, i64[2, E], source nodes first;
    `is_open` that the file states no shape, so that the extents are the least possible ones.
    `remarks` say what the file held that the array does not show.
    """

    array: Array
    file: str
    layout: str = ""
    is_edges: bool = False
    is_open: bool = False
    remarks: tuple[str, ...] = ()


def as_wanted(operand: Operand, dtype: np.dtype[Any], shape: Sequence[int | None]) -> Operand:
    """Return an operand in the form that an input of `dtype` and `shape` wants.

    A sparse matrix becomes a list of edges for an integer input of two rows, in the order of its
    rows: entry (i, j) is the edge from i to j. A list of edges becomes a matrix for other inputs,
    which counts the edges from i to j. A tensor whose file states no shape is filled up with
    zeros. Everything else stays as it is; `shape` has None where any extent fits.
    """
    wants_edges = dtype.kind in "iu" and len(shape) == 2 and shape[0] == 2
    if operand.is_edges and not wants_edges and len(shape) == 2:
        return _as_matrix(operand, shape)
    if wants_edges and operand.layout and operand.array.ndim == 2 and not operand.is_edges:
        pairs = np.stack(np.nonzero(operand.array)).astype(np.int64)
        return Operand(pairs, operand.file, is_edges=True, remarks=operand.remarks)
    if operand.is_open and len(shape) == operand.array.ndim:
        return _filled_up(operand, shape)
    return operand


def convert(operand: Operand, dtype: np.dtype[Any]) -> Array:
    """Return the array in another type.

    Raises ValueError if an integer or boolean type cannot hold the values; floats are rounded.
    """
    with np.errstate(all="ignore"):
        converted = operand.array.astype(dtype, order="C")  # keeps scalars scalars
    if dtype.kind != "f" and (converted != operand.array).any():
        raise ValueError(f"{operand.file} holds values that are not {dtype}")
    return converted


def random_operand(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    seed: int,
    name: str,
    density: float = 1.0,
) -> Operand:
    """Return seeded data: standard normal numbers, or fair coins for bool.

    The numbers depend on the seed and the name alone, so another input more changes nothing. With
    a `density` below 1 each number is kept with that probability, and is else 0. Raises ModelError
    for integers, because they are indices whose range is unknown, and for more than 2 GiB.
    """
    if 4 * math.prod(shape) > LIMIT_BYTES:
        message = f"an input of shape {list(shape)} takes more than 2 GiB"
        raise ModelError("I206 input-data", message, where=Location(node=name))
    generator = np.random.default_rng([seed, *name.encode()])
    if dtype.kind == "f":
        array: Array = generator.standard_normal(shape, dtype=np.float32).astype(dtype)
    elif dtype.kind == "b":
        array = generator.random(shape) < 0.5
    else:
        raise ModelError(
            "I205 unbound-input",
            f"an input of type {dtype} holds indices and cannot be drawn at random",
            where=Location(node=name),
            fix=f"--bind {name}=FILE",
        )
    if density < 1:
        array = np.where(generator.random(shape) < density, array, array.dtype.type(0))
    return Operand(array, f"random data of seed {seed}")


def require_size(path: Path, elements: int, itemsize: int) -> None:
    """Refuse an operand that is too large as a dense array."""
    if elements * itemsize > LIMIT_BYTES:
        size = elements * itemsize / 2**30
        raise wrong_file(path, f"takes {size:.1f} GiB as a dense array, more than 2 GiB")


def entry_remarks(
    file: str, places: npt.NDArray[Any], values: npt.NDArray[Any] | None = None
) -> tuple[str, ...]:
    """Say which entries of a file, at `places` i64[n, rank], a dense array does not show.

    Entries of one place are summed; an entry that is 0 is the same as none.
    """
    merged = len(places) - len(np.unique(places, axis=0))
    zeros = 0 if values is None else int(np.count_nonzero(values == 0))
    remarks = []
    if merged:
        remarks.append(f"{file}: {_entries(merged)} at the place of another one, added up")
    if zeros:
        remarks.append(f"{file}: {_entries(zeros)} of value 0, not stored")
    return tuple(remarks)


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def wrong_file(path: Path, message: str, fix: str | None = None) -> ModelError:
    """Return the error for a file of operands with wrong content."""
    first_line = message.splitlines()[0]
    return ModelError("I204 operand-file", first_line, where=Location(file=str(path)), fix=fix)


def _as_matrix(operand: Operand, shape: Sequence[int | None]) -> Operand:
    nodes = int(operand.array.max(initial=-1)) + 1
    extents = tuple(nodes if extent is None else extent for extent in shape)
    require_size(Path(operand.file), extents[0] * extents[1], 4)
    if nodes > min(extents):
        message = f"has node {nodes - 1}, the input has {min(extents)} nodes"
        raise wrong_file(Path(operand.file), message)
    matrix = np.zeros(extents, dtype=np.float32)
    np.add.at(matrix, (operand.array[0], operand.array[1]), 1)
    remarks = (*operand.remarks, *entry_remarks(operand.file, operand.array.T))
    return Operand(matrix, operand.file, "compressed,compressed", remarks=remarks)


def _filled_up(operand: Operand, shape: Sequence[int | None]) -> Operand:
    extents = operand.array.shape
    missing = [
        0 if want is None else max(want - have, 0)
        for want, have in zip(shape, extents, strict=True)
    ]
    elements = int(np.prod([h + m for h, m in zip(extents, missing, strict=True)], dtype=object))
    require_size(Path(operand.file), elements, operand.array.itemsize)
    padded = np.pad(operand.array, [(0, count) for count in missing])
    return replace(operand, array=padded, is_open=False)
