# SPDX-License-Identifier: MIT
"""Tensors in text files: MatrixMarket (.mtx) and FROSTT (.tns), plain or gzipped.

Both count from 1 and both are read strictly, with the line in every error. FROSTT has no header:
the number of dimensions is that of the first line, and sizes are the largest coordinates, unless
they are given.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fuseflow.interop.faults import malformed
from fuseflow.interop.tensors.entries import Entries
from fuseflow.ir.tensor import Tensor

__all__ = ["read_matrix_market", "read_tns", "write_matrix_market", "write_tns"]

_FIELDS = ("real", "integer", "pattern")
_SYMMETRIES = ("general", "symmetric", "skew-symmetric")
_BANNER = "%%matrixmarket"

Line = tuple[int, list[str]]


def read_matrix_market(path: Path) -> Entries:
    """Read a MatrixMarket file; symmetric storage is expanded, a pattern holds ones.

    Raises:
        InterchangeError: X001 with the line; for complex and Hermitian matrices too.
    """
    lines = _lines(path)
    _, banner = next(lines, (1, []))
    words = [word.lower() for word in banner]
    if len(words) != 5 or words[0] != _BANNER or words[1] != "matrix":
        raise malformed('line 1: expected "%%MatrixMarket matrix ..."', file=str(path))
    layout, kind, symmetry = words[2:]
    if layout not in ("coordinate", "array") or kind not in _FIELDS or symmetry not in _SYMMETRIES:
        message = f'line 1: a matrix of "{layout} {kind} {symmetry}" cannot be read'
        raise malformed(message, file=str(path), fix="store it real and general")
    body = ((number, words) for number, words in lines if words and not words[0].startswith("%"))
    number, sizes = next(body, (2, []))
    if layout == "array":
        return _read_array(path, body, _whole(path, number, sizes, 2), symmetry)
    rows, columns, count = _whole(path, number, sizes, 3)
    return _read_coordinates(path, body, (rows, columns), count, kind, symmetry)


def _read_coordinates(
    path: Path,
    body: Iterator[Line],
    shape: tuple[int, int],
    count: int,
    kind: str,
    symmetry: str,
) -> Entries:
    coordinates: list[list[int]] = []
    values: list[float] = []
    width = 2 if kind == "pattern" else 3
    for number, words in body:
        if len(words) != width:
            raise malformed(f"line {number}: {len(words)} numbers, not {width}", file=str(path))
        coordinates.append([place - 1 for place in _whole(path, number, words[:2], 2)])
        values.append(_number(path, number, words[2]) if width == 3 else 1.0)
    if len(values) != count:
        raise malformed(f"{len(values)} entries, the header says {count}", file=str(path))
    return _expanded(path, shape, coordinates, values, symmetry)


def _read_array(path: Path, body: Iterator[Line], sizes: Sequence[int], symmetry: str) -> Entries:
    """Read a dense matrix, which is stored by columns."""
    rows, columns = sizes
    first = {"general": 0, "symmetric": 0, "skew-symmetric": 1}[symmetry]
    places = [
        [row, column]
        for column in range(columns)
        for row in range(0 if symmetry == "general" else column + first, rows)
    ]
    values = [_number(path, number, word) for number, words in body for word in words]
    if len(values) != len(places):
        raise malformed(f"{len(values)} values for {len(places)} places", file=str(path))
    return _expanded(path, (rows, columns), places, values, symmetry)


def _expanded(
    path: Path,
    shape: tuple[int, int],
    coordinates: list[list[int]],
    values: list[float],
    symmetry: str,
) -> Entries:
    places = np.array(coordinates, dtype=np.int64).reshape(-1, 2)
    numbers = np.array(values, dtype=np.float64)
    if symmetry != "general":
        below = places[:, 0] != places[:, 1]
        mirrored = numbers[below] * (-1 if symmetry == "skew-symmetric" else 1)
        places = np.concatenate([places, places[below][:, ::-1]])
        numbers = np.concatenate([numbers, mirrored])
    return Entries(shape, places, _single(numbers), str(path))


def read_tns(path: Path, shape: Sequence[int] | None = None) -> Entries:
    """Read a FROSTT file.

    A last line that holds sizes and a zero, as SAM's writer puts it, marks the shape.

    Raises:
        InterchangeError: X001 with the line; X001 for a file without entries and no shape.
    """
    coordinates: list[tuple[int, ...]] = []
    values: list[float] = []
    width = None if shape is None else len(shape) + 1
    for number, words in _lines(path):
        if not words or words[0].startswith("#"):
            continue
        width = width or len(words)
        if len(words) != width:
            raise malformed(f"line {number}: {len(words)} numbers, not {width}", file=str(path))
        places = _whole(path, number, words[:-1], width - 1)
        coordinates.append(tuple(place - 1 for place in places))
        values.append(_number(path, number, words[-1]))
    if width is None:
        raise malformed("a file without entries does not say its shape", file=str(path))
    entries = np.array(coordinates, dtype=np.int64).reshape(-1, width - 1)
    sizes = tuple(map(int, entries.max(axis=0, initial=-1) + 1)) if shape is None else tuple(shape)
    if values and values[-1] == 0 and tuple(entries[-1] + 1) == sizes:
        entries, values = entries[:-1], values[:-1]
    return Entries(sizes, entries, _single(np.array(values, dtype=np.float64)), str(path))


def write_matrix_market(path: Path, tensor: Tensor) -> None:
    """Write a matrix by its stored entries; OSError if the file cannot be written.

    Raises:
        InterchangeError: X004 if it is no matrix, or its fill is not zero.
    """
    if len(tensor.shape) != 2:
        raise malformed(f"a tensor of {len(tensor.shape)} dimensions is no matrix", file=str(path))
    rows, columns = tensor.shape
    header = f"%%MatrixMarket matrix coordinate real general\n{rows} {columns} {tensor.stored}\n"
    _write(path, header + "".join(_entry_lines(path, tensor)))


def write_tns(path: Path, tensor: Tensor) -> None:
    """Write a tensor by its stored entries; the sizes, which the format lacks, as a comment."""
    header = f"# sizes: {' '.join(map(str, tensor.shape))}\n"
    _write(path, header + "".join(_entry_lines(path, tensor)))


def _entry_lines(path: Path, tensor: Tensor) -> Iterator[str]:
    if tensor.fill != 0 or tensor.tile:
        message = "only scalars over a background of zero can be written as a list of entries"
        raise malformed(message, file=str(path))
    values = np.ones(tensor.stored, np.float32) if tensor.values is None else tensor.values
    for places, value in zip((tensor.coordinates() + 1).tolist(), values, strict=True):
        yield f"{' '.join(map(str, [*places, value]))}\n"


def _write(path: Path, text: str) -> None:
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _lines(path: Path) -> Iterator[Line]:
    """Yield the number and the words of every line."""
    data = path.read_bytes()
    try:
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise malformed(f"this is no readable text: {error}", file=str(path)) from error
    for number, line in enumerate(text.splitlines(), start=1):
        yield number, line.split()


def _whole(path: Path, number: int, words: Sequence[str], count: int) -> list[int]:
    if len(words) == count and all(word.isascii() and word.isdigit() for word in words):
        return [int(word) for word in words]
    message = f"line {number}: expected {count} whole numbers, found {' '.join(words)[:40]!r}"
    raise malformed(message, file=str(path))


def _number(path: Path, number: int, word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise malformed(f"line {number}: {word[:40]!r} is not a number", file=str(path)) from error


def _single(
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
