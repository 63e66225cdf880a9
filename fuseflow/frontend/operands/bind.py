# SPDX-License-Identifier: MIT
"""Operands that users bind to the inputs of a model: ``--bind NAME=FILE``.

Reads .npy, .npz (one array, a SciPy sparse matrix, or a graph archive whose CSR arrays are named
``KEY_indptr`` and ``KEY_indices``), .mtx, and text (`bind_text`), and trusts nothing in them: no
pickles, indices are checked, sizes are bounded. Not here: which input wants which shape
(`operand`), and what format it gets.
"""

from __future__ import annotations

import difflib
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, UsageError
from fuseflow.frontend.operands.bind_text import read_edges, read_tns
from fuseflow.frontend.operands.operand import (
    LIMIT_BYTES,
    Operand,
    entry_remarks,
    require_size,
    wrong_file,
)
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.storage.addresses import matches_name

__all__ = ["operand_sources", "read_operand", "stated_densities", "unknown_input"]

_BY_ROWS, _BY_COLUMNS, _BY_ENTRIES = (
    "dense,compressed",
    "dense,compressed@1,0",
    "compressed,compressed",
)
_LAYOUTS = {"csr": _BY_ROWS, "bsr": _BY_ROWS, "csc": _BY_COLUMNS}
_BROKEN = (ValueError, EOFError, OSError, MemoryError, zipfile.BadZipFile, zlib.error, KeyError)

Array = npt.NDArray[Any]


def operand_sources(names: Sequence[str], options: ImportOptions, file: str = "") -> dict[str, str]:
    """Return the source of each input that has one: the user's binding, else the sidecar's.

    `file` is the model, for the error. Raises UsageError U204 for a binding to no input.
    """
    for name in options.bindings:
        if name not in names:
            raise unknown_input(name, names, file)
    return {**_from_sidecar(names, options, "data"), **options.bindings}


def unknown_input(name: str, names: Sequence[str], file: str = "") -> UsageError:
    """Return the error for an option on an input that does not exist, with the nearest one."""
    close = difflib.get_close_matches(name, names, n=1)
    return UsageError(
        "U204 unknown-input",
        f'the model has no input "{name}"',
        where=Location(file=file or None),
        fix=f'did you mean "{close[0]}"?' if close else f"name one of {', '.join(names)}",
    )


def stated_densities(names: Sequence[str], options: ImportOptions) -> dict[str, float]:
    """Return the density that the sidecar states for each input, where it does."""
    return _from_sidecar(names, options, "density")


def read_operand(source: str) -> Operand:
    """Read ``FILE`` or ``FILE:KEY``.

    Raises UsageError if there is no such file or no reader for it, ModelError if its content is
    wrong. Memory stays within the size of the array, which is at most 2 GiB.
    """
    path, key = _split_source(source)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise UsageError(
            "U202 operand-kind",
            f'"{path.suffix}" is no known kind of operand',
            where=Location(file=str(path)),
            fix=f"give a file that ends in {known}",
        )
    return reader(path, key)


def _from_sidecar(names: Sequence[str], options: ImportOptions, key: str) -> dict[str, Any]:
    """Return what the first entry of the sidecar says that names an input and has the key."""
    found: dict[str, Any] = {}
    for entry in options.sidecar:
        value = getattr(entry, key)
        if entry.match and value not in (None, ""):
            named = [name for name in names if matches_name(entry.match, (name,))]
            found = dict.fromkeys(named, value) | found
    return found


def _split_source(source: str) -> tuple[Path, str]:
    """Separate the key from the path; a path that exists as it stands has none."""
    path, key = Path(source), ""
    if not path.exists() and ":" in source:
        head, _, key = source.rpartition(":")
        path = Path(head)
    if not path.is_file():
        raise UsageError("U003 no-file", "there is no such file", where=Location(file=str(path)))
    return path, key


def _read_npy(path: Path, key: str) -> Operand:
    if key:
        raise wrong_file(path, f'holds one array, it has no key "{key}"')
    try:
        # Mapping fails where the header promises more than the file holds, before any allocation.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _BROKEN as error:
        raise wrong_file(path, f"is not a readable NumPy array: {error}") from error
    return _operand(path, np.array(array))


def _read_npz(path: Path, key: str) -> Operand:
    arrays = _load_archive(path)
    if not key and {"format", "shape"} <= arrays.keys():
        return _read_scipy(path)
    if not key and len(arrays) == 1:
        key = next(iter(arrays))
    if key in arrays:
        return _operand(path, arrays[key], key=key)
    if f"{key}_indptr" in arrays and f"{key}_indices" in arrays:
        matrix = _graph_matrix(path, arrays, key)
        # A node may have no edge, but hardly no feature, whatever form the archive stores both in.
        layout = _BY_ROWS if _is_features(key) else _BY_ENTRIES
        return _sparse_operand(path, matrix, key=key, layout=layout)
    known = sorted({*arrays, *(name.removesuffix("_indptr") for name in arrays)})
    raise wrong_file(
        path, f'has no operand "{key}"', fix=f"FILE:KEY with a key of {', '.join(known)}"
    )


def _load_archive(path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > 2 * LIMIT_BYTES:
                raise wrong_file(path, f"unpacks to {size} bytes, more than {2 * LIMIT_BYTES}")
            for member in archive.infolist():
                _check_member(path, archive, member)
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except _BROKEN as error:
        raise wrong_file(path, f"is not a readable NumPy archive: {error}") from error


def _check_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse an array that claims more than its member holds, before room is made for it."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0
        if version > (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise wrong_file(path, f"{member.filename} claims the shape {list(shape)}, and is shorter")


def _read_scipy(path: Path) -> Operand:
    from scipy import sparse

    try:
        matrix = sparse.load_npz(path)
    except _BROKEN as error:
        raise wrong_file(path, f"is not a readable sparse matrix: {error}") from error
    layout = _LAYOUTS.get(matrix.format, _BY_ENTRIES)
    return _sparse_operand(path, matrix, layout=layout)


def _graph_matrix(path: Path, arrays: Mapping[str, Array], key: str) -> Any:
    """Return the CSR matrix of a graph archive: ones where it stores no values."""
    from scipy import sparse

    indptr, indices = arrays[f"{key}_indptr"], arrays[f"{key}_indices"]
    data = arrays.get(f"{key}_data", np.zeros(0, dtype=np.float32))
    if any(array.ndim != 1 or array.dtype.kind not in "ui" for array in (indptr, indices)):
        raise wrong_file(path, f'the arrays of "{key}" are not lists of integers')
    if data.size == 0:
        data = np.ones(len(indices), dtype=np.float32)
    shape = (len(indptr) - 1, _columns(arrays, key, len(indptr) - 1))
    try:
        matrix = sparse.csr_matrix((data, indices, indptr), shape=shape)
    except _BROKEN as error:
        raise wrong_file(path, f'"{key}" is not a matrix in CSR form: {error}') from error
    return matrix


def _columns(arrays: Mapping[str, Array], key: str, rows: int) -> int:
    """Return the width of a CSR matrix: its own shape, else the archive's for features."""
    shape = arrays.get(f"{key}_shape")
    if shape is None and _is_features(key):
        shape = arrays.get("shape")
    return rows if shape is None else int(shape.reshape(-1)[-1])


def _is_features(key: str) -> bool:
    return key.startswith("feat")


def _read_mtx(path: Path, key: str) -> Operand:
    from scipy import io, sparse

    if key:
        raise wrong_file(path, f'holds one matrix, it has no key "{key}"')
    try:
        rows, columns, entries, layout, *_ = io.mminfo(path)
        if layout == "array":
            require_size(path, rows * columns, 8)
        elif entries > path.stat().st_size:
            raise wrong_file(path, f"promises {entries} entries, more than it has bytes")
        matrix = io.mmread(path)
    except _BROKEN as error:
        raise wrong_file(path, f"is not a readable MatrixMarket file: {error}") from error
    if sparse.issparse(matrix):
        return _sparse_operand(path, matrix, layout=_BY_ENTRIES)
    return _operand(path, np.asarray(matrix))


def _sparse_operand(path: Path, matrix: Any, *, key: str = "", layout: str) -> Operand:
    """Return a SciPy matrix as an operand, with what its dense form does not show."""
    operand = _operand(path, _densify(path, matrix), key=key, layout=layout)
    entries = matrix.tocoo()
    places = np.stack([entries.row, entries.col], axis=1)
    return replace(operand, remarks=entry_remarks(operand.file, places, entries.data))


def _densify(path: Path, matrix: Any) -> Array:
    """Return a SciPy matrix of any format as an array, duplicates summed."""
    require_size(path, int(np.prod(matrix.shape, dtype=object)), matrix.dtype.itemsize)
    try:
        if hasattr(matrix, "check_format"):
            # SciPy does not look at indices on its own and would write outside the array.
            matrix.check_format(full_check=True)
        return np.asarray(matrix.toarray())
    except _BROKEN as error:
        raise wrong_file(path, f"is not a valid sparse matrix: {error}") from error


def _operand(path: Path, array: Array, *, key: str = "", layout: str = "") -> Operand:
    require_size(path, array.size, array.dtype.itemsize)
    if array.dtype.kind not in "biuf":
        raise wrong_file(path, f"holds values of type {array.dtype}, not numbers")
    return Operand(array, f"{path.name}:{key}" if key else path.name, layout)


_READERS: dict[str, Callable[[Path, str], Operand]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".mtx": _read_mtx,
    ".tns": read_tns,
    ".edges": read_edges,
    ".el": read_edges,
    ".tsv": read_edges,
    ".txt": read_edges,
}
