# SPDX-License-Identifier: MIT
"""Tensors in NumPy and SciPy files: .npy arrays, and .npz archives of sparse matrices.

An .npz of SciPy says how it stored the matrix, and so does the tensor: `csr` is a dense level over
a compressed one, `csc` the same by columns, everything else a list of entries. Graph archives have
arrays `KEY_indptr` and `KEY_indices`, and are read by `KEY`. Pickles are never loaded.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.interop.faults import malformed
from fuseflow.interop.tensors.entries import Entries
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.tensor import Format, Tensor

__all__ = ["read_npy", "read_npz", "write_npy", "write_npz"]

Array = npt.NDArray[Any]

_LAYOUTS = {"csr": "dense,compressed", "csc": "dense,compressed@1,0"}
_BROKEN = (ValueError, EOFError, OSError, MemoryError, KeyError, zipfile.BadZipFile, zlib.error)


def read_npy(path: Path) -> Array:
    """Read the array of an .npy file.

    Raises:
        InterchangeError: X001 if it is broken or holds no numbers.
    """
    try:
        # Mapping fails where the header promises more than the file holds, before any allocation.
        array = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except _BROKEN as error:
        raise malformed(f"this is no NumPy array: {error}", file=str(path)) from error
    return _numbers(path, array)


def read_npz(path: Path, key: str = "") -> Entries | Array:
    """Read a SciPy matrix, or one array of an archive by its key.

    Raises:
        InterchangeError: X001 if it is broken, or has no such key.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except _BROKEN as error:
        raise malformed(f"this is no NumPy archive: {error}", file=str(path)) from error
    if not key and {"format", "shape"} <= arrays.keys():
        return _read_scipy(path)
    if not key and len(arrays) == 1:
        key = next(iter(arrays))
    if key in arrays:
        return _numbers(path, arrays[key])
    if f"{key}_indptr" in arrays and f"{key}_indices" in arrays:
        return _read_rows(path, arrays, key)
    fix = f"name one of {', '.join(sorted(arrays))} as FILE:KEY"
    raise malformed(f'the archive has no array "{key}"', file=str(path), fix=fix)


def write_npy(path: Path, tensor: Tensor) -> None:
    """Write the dense array that a tensor denotes; ValueError if it is tiled."""
    np.save(path, tensor.to_dense(), allow_pickle=False)


def write_npz(path: Path, tensor: Tensor) -> None:
    """Write a matrix as a SciPy archive: csr, csc, or a list of entries.

    Raises:
        InterchangeError: X001 if it is no matrix over a background of zero.
    """
    from scipy import sparse

    if len(tensor.shape) != 2 or tensor.fill != 0 or tensor.tile:
        message = "SciPy stores matrices of numbers over a background of zero"
        raise malformed(message, file=str(path), fix="write .npy or a tensor directory")
    values = np.ones(tensor.stored, np.float32) if tensor.values is None else tensor.values
    layouts = {text: kind for kind, text in _LAYOUTS.items()}
    kind = layouts.get(str(tensor.format))
    if kind is None:
        rows, columns = tensor.coordinates().T
        matrix: Any = sparse.coo_matrix((values, (rows, columns)), tensor.shape)
    else:
        level = tensor.levels[1]
        make: Any = sparse.csr_matrix if kind == "csr" else sparse.csc_matrix
        matrix = make((values, level.coordinates, level.segments), shape=tensor.shape)
    sparse.save_npz(path, matrix)


def _read_scipy(path: Path) -> Entries:
    from scipy import sparse

    try:
        stored: Any = sparse.load_npz(path)
        if hasattr(stored, "check_format"):
            stored.check_format(full_check=True)
        kind = str(stored.format)
        matrix = stored.tocoo()
    except _BROKEN as error:
        raise malformed(f"this is no SciPy matrix: {error}", file=str(path)) from error
    layout = parse_format(_LAYOUTS[kind]) if kind in _LAYOUTS else None
    coordinates = np.stack([axis.astype(np.int64) for axis in matrix.coords], axis=1)
    return _entries(path, matrix.shape, coordinates, matrix.data, layout)


def _read_rows(path: Path, arrays: Mapping[str, Array], key: str) -> Entries:
    """Read the matrix of a graph archive: ones where it has no values."""
    indptr, indices = arrays[f"{key}_indptr"], arrays[f"{key}_indices"]
    if any(array.ndim != 1 or array.dtype.kind not in "ui" for array in (indptr, indices)):
        raise malformed(f'the arrays of "{key}" are not lists of integers', file=str(path))
    bounds = indptr.astype(np.int64)
    lengths = bounds[1:] - bounds[:-1]
    if not len(indptr) or indptr[0] != 0 or (lengths < 0).any() or indptr[-1] != len(indices):
        raise malformed(f'"{key}_indptr" does not split "{key}_indices"', file=str(path))
    shape = arrays.get(f"{key}_shape", np.array([len(lengths), len(lengths)]))
    values = arrays.get(f"{key}_data", np.ones(len(indices), np.float32))
    rows = np.repeat(np.arange(len(lengths)), lengths)
    coordinates = np.stack([rows, indices.astype(np.int64)], axis=1)
    return _entries(path, tuple(map(int, shape.reshape(-1))), coordinates, values, None)


def _entries(
    path: Path,
    shape: tuple[int, ...],
    coordinates: npt.NDArray[np.int64],
    values: Array,
    layout: Format | None,
) -> Entries:
    if len(values) != len(coordinates) or len(shape) != coordinates.shape[1]:
        raise malformed("values, coordinates and shape do not fit each other", file=str(path))
    numbers = _numbers(path, values).astype(np.float32)
    return Entries(tuple(map(int, shape)), coordinates, numbers, str(path), layout)


def _numbers(path: Path, array: Array) -> Array:
    if array.dtype.kind not in "biuf":
        raise malformed(f"values of type {array.dtype} are not real numbers", file=str(path))
    return array
