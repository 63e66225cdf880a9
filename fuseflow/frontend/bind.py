# SPDX-License-Identifier: MIT
"""Operands that users bind to the inputs of a model: ``--bind NAME=FILE``.

Reads .npy, .npz (one array, a SciPy sparse matrix, or a graph archive whose CSR arrays are named
``KEY_indptr`` and ``KEY_indices``) and .mtx, and trusts nothing in them: no pickles, indices are
checked, sizes are bounded. Not here: which input wants which shape, and what format it gets.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, ModelError, UsageError

__all__ = ["Operand", "random_operand", "read_bindings", "read_operand"]

_LIMIT_BYTES = 2**31
_BY_ROWS, _BY_COLUMNS, _BY_ENTRIES = (
    "dense,compressed",
    "dense,compressed@1,0",
    "compressed,compressed",
)
_LAYOUTS = {"csr": _BY_ROWS, "bsr": _BY_ROWS, "csc": _BY_COLUMNS}
_BROKEN = (ValueError, EOFError, OSError, MemoryError, zipfile.BadZipFile, zlib.error, KeyError)

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """The data of one input: a dense array of the dtype in the file.

    `layout` is the format text of how the file stored it, empty for dense; `file` names the file,
    with its key.
    """

    array: Array
    file: str
    layout: str = ""


def read_bindings(sources: Mapping[str, str]) -> dict[str, Operand]:
    """Read the file of every name; raises what `read_operand` raises."""
    return {name: read_operand(source) for name, source in sources.items()}


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


def random_operand(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int, name: str) -> Operand:
    """Return seeded dense data: standard normal numbers, or fair coins for bool.

    The numbers depend on the seed and the name alone, so another input more changes nothing.
    Raises ModelError for integers, because they are indices whose range is unknown.
    """
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
    return Operand(array, f"random data of seed {seed}")


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
        raise _wrong(path, f'holds one array, it has no key "{key}"')
    try:
        # Mapping fails where the header promises more than the file holds, before any allocation.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _BROKEN as error:
        raise _wrong(path, f"is not a readable NumPy array: {error}") from error
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
        return _operand(path, matrix, key=key, layout=layout)
    known = sorted({*arrays, *(name.removesuffix("_indptr") for name in arrays)})
    raise _wrong(path, f'has no operand "{key}"', fix=f"FILE:KEY with a key of {', '.join(known)}")


def _load_archive(path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > 2 * _LIMIT_BYTES:
            raise _wrong(path, f"unpacks to {size} bytes, more than {2 * _LIMIT_BYTES}")
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except _BROKEN as error:
        raise _wrong(path, f"is not a readable NumPy archive: {error}") from error


def _read_scipy(path: Path) -> Operand:
    from scipy import sparse

    try:
        matrix = sparse.load_npz(path)
    except _BROKEN as error:
        raise _wrong(path, f"is not a readable sparse matrix: {error}") from error
    layout = _LAYOUTS.get(matrix.format, _BY_ENTRIES)
    return _operand(path, _densify(path, matrix), layout=layout)


def _graph_matrix(path: Path, arrays: Mapping[str, Array], key: str) -> Array:
    """Return the CSR matrix of a graph archive: ones where it stores no values."""
    from scipy import sparse

    indptr, indices = arrays[f"{key}_indptr"], arrays[f"{key}_indices"]
    data = arrays.get(f"{key}_data", np.zeros(0, dtype=np.float32))
    if any(array.ndim != 1 or array.dtype.kind not in "ui" for array in (indptr, indices)):
        raise _wrong(path, f'the arrays of "{key}" are not lists of integers')
    if data.size == 0:
        data = np.ones(len(indices), dtype=np.float32)
    shape = (len(indptr) - 1, _columns(arrays, key, len(indptr) - 1))
    try:
        matrix = sparse.csr_matrix((data, indices, indptr), shape=shape)
    except _BROKEN as error:
        raise _wrong(path, f'"{key}" is not a matrix in CSR form: {error}') from error
    return _densify(path, matrix)


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
        raise _wrong(path, f'holds one matrix, it has no key "{key}"')
    try:
        rows, columns, entries, layout, *_ = io.mminfo(path)
        if layout == "array":
            _require_size(path, rows * columns, 8)
        elif entries > path.stat().st_size:
            raise _wrong(path, f"promises {entries} entries, more than it has bytes")
        matrix = io.mmread(path)
    except _BROKEN as error:
        raise _wrong(path, f"is not a readable MatrixMarket file: {error}") from error
    if sparse.issparse(matrix):
        return _operand(path, _densify(path, matrix), layout=_BY_ENTRIES)
    return _operand(path, np.asarray(matrix))


def _densify(path: Path, matrix: Any) -> Array:
    """Return a SciPy matrix of any format as an array, duplicates summed."""
    _require_size(path, int(np.prod(matrix.shape, dtype=object)), matrix.dtype.itemsize)
    try:
        if hasattr(matrix, "check_format"):
            # SciPy does not look at indices on its own and would write outside the array.
            matrix.check_format(full_check=True)
        return np.asarray(matrix.toarray())
    except _BROKEN as error:
        raise _wrong(path, f"is not a valid sparse matrix: {error}") from error


def _operand(path: Path, array: Array, *, key: str = "", layout: str = "") -> Operand:
    _require_size(path, array.size, array.dtype.itemsize)
    if array.dtype.kind not in "biuf":
        raise _wrong(path, f"holds values of type {array.dtype}, not numbers")
    return Operand(array, f"{path.name}:{key}" if key else path.name, layout)


def _require_size(path: Path, elements: int, itemsize: int) -> None:
    if elements * itemsize > _LIMIT_BYTES:
        size = elements * itemsize / 2**30
        raise _wrong(path, f"takes {size:.1f} GiB as a dense array, more than 2 GiB")


def _wrong(path: Path, message: str, fix: str | None = None) -> ModelError:
    first_line = message.splitlines()[0]
    return ModelError("I204 operand-file", first_line, where=Location(file=str(path)), fix=fix)


_READERS: dict[str, Callable[[Path, str], Operand]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".mtx": _read_mtx,
}
