# SPDX-License-Identifier: MIT
"""Tensor directories of the Sparse Abstract Machine and of Comal: one text file per array.

A folder holds the operands of one graph. Files have no extension and one number per line:

    tensor_B_mode_0_seg, tensor_B_mode_0_crd    the compressed level of logical dimension 0
    tensor_B_mode_shape                         sizes, in the order of the logical dimensions
    tensor_B_mode_vals                          one number per leaf, in storage order

Levels without files are dense. The order in which levels are stored is not in the folder; it comes
from whoever reads it. Our writer adds `tensor_B_mode_order`, a dimension per line, and
`tensor_B_mode_fill` with the value of what is not stored if that is not 0; other tools do not look
at them.

Reading is strict, since the readers of other tools skip lines that they do not understand, which
shifts everything behind them. Writing spells each value with as many digits as float32 has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fuseflow.errors import InterchangeError, Location
from fuseflow.interop.faults import malformed, refuse
from fuseflow.ir.tensor import Format, Level, LevelFormat, Tensor

__all__ = ["TensorFolder", "is_file_name", "write_shape", "write_tensor"]

_NAME = re.compile(r"[A-Za-z0-9_.,-]+")
_FILE = re.compile(r"tensor_(.+)_mode_(shape|vals|order|fill|[0-9]+)(?:_(seg|crd))?")

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class TensorFolder:
    """A folder of tensors that other tools wrote; `remarks` collects what was repaired."""

    def __init__(self, path: Path) -> None:
        """Look into a folder.

        Raises:
            InterchangeError: X008 if there is no such folder.
        """
        if not path.is_dir():
            raise InterchangeError("X008", "there is no such folder", where=Location(str(path)))
        self.path = path
        self.remarks: list[str] = []

    def names(self) -> tuple[str, ...]:
        """Return the names of all tensors in the folder, sorted."""
        found = (_FILE.fullmatch(entry.name) for entry in self.path.iterdir())
        return tuple(sorted({match[1] for match in found if match}))

    def has_data(self, name: str) -> bool:
        """Return whether the folder has the values of a tensor."""
        return self._file(name, "vals").exists()

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the sizes of the logical dimensions, None if the folder does not say."""
        path = self._file(name, "shape")
        return tuple(int(size) for size in _read_ints(path)) if path.exists() else None

    def mode_order(self, name: str) -> tuple[int, ...] | None:
        """Return the stored order of the dimensions, None if the folder does not say."""
        path = self._file(name, "order")
        return tuple(int(mode) for mode in _read_ints(path)) if path.exists() else None

    def is_stored(self, name: str, mode: int) -> bool:
        """Return whether the folder has coordinates for a dimension."""
        return self._file(name, f"{mode}_crd").exists()

    def read(
        self,
        name: str,
        mode_order: Sequence[int] | None = None,
        shape: Sequence[int] | None = None,
        tile: tuple[int, ...] = (),
    ) -> Tensor:
        """Read a tensor.

        Args:
            name: as in the file names.
            mode_order: the dimension of each level, outermost first; by default what our writer
                noted, else the natural order.
            shape: sizes of the dimensions where the folder has no shape file.
            tile: shape of the tile that each leaf holds; sizes count tiles.

        Raises:
            InterchangeError: X008 if files are missing, X001 with the line if they are wrong.
        """
        sizes = self.shape(name) or (None if shape is None else tuple(shape))
        if sizes is None:
            sizes = self._sizes_of_coordinates(name)
        order = tuple(mode_order) if mode_order is not None else self.mode_order(name)
        order = tuple(range(len(sizes))) if order is None else order
        if sorted(order) != list(range(len(sizes))):
            message = f'"{name}" has {len(sizes)} dimensions, the graph walks {list(order)}'
            raise InterchangeError("X008", message, where=Location(str(self.path)))
        levels: list[Level] = []
        parents = 1
        for mode in order:
            level = self._level(name, mode, sizes[mode], parents)
            levels.append(level)
            parents = level.positions(parents)
        values = self._values(name, parents, tile)
        return Tensor(sizes, tuple(levels), order, values, self._fill(name), tile)

    def _file(self, name: str, part: str) -> Path:
        return self.path / f"tensor_{_checked(name)}_mode_{part}"

    def _level(self, name: str, mode: int, size: int, parents: int) -> Level:
        crd_path, seg_path = self._file(name, f"{mode}_crd"), self._file(name, f"{mode}_seg")
        if not crd_path.exists():
            return Level(LevelFormat.DENSE, size)
        coordinates, segments = self._arrays(crd_path, seg_path, parents)
        if len(coordinates) and int(coordinates.max()) >= size:
            line = int(coordinates.argmax()) + 1
            message = f"line {line}: coordinate {coordinates.max()} in a dimension of size {size}"
            raise malformed(message, file=str(crd_path))
        first = np.zeros(len(coordinates), np.bool_)
        first[segments[:-1][np.diff(segments) > 0]] = True
        falling = np.flatnonzero((np.diff(coordinates, prepend=-1) <= 0) & ~first)
        if len(falling):
            message = f"line {falling[0] + 1}: coordinates of a fiber do not ascend"
            raise malformed(message, file=str(crd_path))
        return Level(LevelFormat.COMPRESSED, size, segments, coordinates)

    def _arrays(self, crd_path: Path, seg_path: Path, parents: int) -> tuple[Ints, Ints]:
        """Read coordinates and offsets; two habits of SAM's writers pass with a remark."""
        if not seg_path.exists():
            raise InterchangeError("X008", "there is no such file", where=Location(str(seg_path)))
        coordinates, segments = _read_ints(crd_path), _read_ints(seg_path)
        if len(coordinates) == 1 and not segments.any():
            self.remarks.append(f"{crd_path.name}: the coordinate is in no fiber, left out")
            coordinates, segments = coordinates[:0], segments[: parents + 1]
        elif len(segments) == parents + 1 and segments[-1] == len(coordinates) + 1:
            self.remarks.append(f"{seg_path.name}: the last offset is one too large")
            segments[-1] = len(coordinates)
        if len(segments) != parents + 1:
            message = f"{len(segments)} offsets for {parents} fibers"
        elif segments[0] != 0 or (np.diff(segments) < 0).any():
            message = "offsets must start at 0 and must not fall"
        elif segments[-1] != len(coordinates):
            message = f"the last offset is {segments[-1]} of {len(coordinates)} coordinates"
        else:
            return coordinates, segments
        raise malformed(message, file=str(seg_path))

    def _values(self, name: str, leaves: int, tile: tuple[int, ...]) -> Floats:
        path = self._file(name, "vals")
        if not path.exists():
            raise InterchangeError("X008", "there is no such file", where=Location(str(path)))
        values = _read_floats(path)
        if not leaves and len(values) == 1 and not values.any():
            values = values[:0]  # the other half of SAM's spelling of an empty tensor
        wanted = leaves * int(np.prod(tile, dtype=np.int64))
        if len(values) != wanted:
            raise malformed(f"{len(values)} values for {wanted} places", file=str(path))
        return values.reshape(leaves, *tile)

    def _fill(self, name: str) -> float:
        path = self._file(name, "fill")
        if not path.exists():
            return 0.0
        numbers = _read_floats(path)
        if len(numbers) != 1:
            raise malformed(f"{len(numbers)} numbers for one background", file=str(path))
        return float(numbers[0])

    def _sizes_of_coordinates(self, name: str) -> tuple[int, ...]:
        """Take the largest coordinates for sizes, where nothing says more."""
        sizes: list[int] = []
        while self.is_stored(name, len(sizes)):
            coordinates = _read_ints(self._file(name, f"{len(sizes)}_crd"))
            sizes.append(int(coordinates.max(initial=-1)) + 1)
        if not sizes and not self.has_data(name):
            where = Location(str(self.path))
            raise InterchangeError("X008", f'there are no files of tensor "{name}"', where=where)
        if sizes:
            self.remarks.append(
                f'"{name}" has no shape file: sizes {sizes} are those of its coordinates'
            )
        return tuple(sizes)


def write_tensor(folder: Path, name: str, tensor: Tensor) -> None:
    """Write a tensor; stored zeros are kept, a pattern is written as ones.

    Raises:
        InterchangeError: X009 if the name cannot be part of a file name, X004 for levels that the
            format lacks.
        OSError: if the folder cannot be written.
    """
    write_shape(folder, name, tensor.shape, tensor.format)
    if tensor.fill:
        _write(folder, name, "fill", map(str, [np.float32(tensor.fill)]))
    for level, mode in zip(tensor.levels, tensor.mode_order, strict=True):
        if level.format is LevelFormat.SINGLETON:
            message = "singleton levels have no file"
            raise refuse("X004", message, field=name, fix="store it compressed")
        if level.format is LevelFormat.COMPRESSED:
            assert level.segments is not None
            assert level.coordinates is not None
            _write(folder, name, f"{mode}_seg", map(str, level.segments.tolist()))
            _write(folder, name, f"{mode}_crd", map(str, level.coordinates.tolist()))
    values = tensor.values
    if values is None:
        values = np.ones(tensor.stored, np.float32)
    _write(folder, name, "vals", map(str, values.reshape(-1)))


def write_shape(folder: Path, name: str, shape: Sequence[int], fmt: Format) -> None:
    """Write what is known of a tensor without data: its sizes and the order of its levels."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, name, "shape", map(str, shape))
    _write(folder, name, "order", map(str, fmt.mode_order))


def _write(folder: Path, name: str, part: str, lines: map[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    (folder / f"tensor_{_checked(name)}_mode_{part}").write_text(text, newline="\n")


def is_file_name(name: str) -> bool:
    """Return whether the name of a tensor can be part of a file name."""
    return _NAME.fullmatch(name) is not None


def _checked(name: str) -> str:
    if not is_file_name(name):
        message = f'"{name}" has characters other than letters, digits, "_", ".", "," and "-"'
        raise refuse("X009", message, field=name, fix="give the tensor another name")
    return name


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text().split("\n")
    except UnicodeDecodeError as error:
        raise malformed(f"this is no text: {error.reason}", file=str(path)) from error


def _read_ints(path: Path) -> Ints:
    lines = _read_lines(path)
    if lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        digits = line.removesuffix("\r")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
            message = f'line {number}: "{digits[:40]}" is not a whole number'
            raise malformed(message, file=str(path))
    return np.array([int(line) for line in lines], dtype=np.int64)


def _read_floats(path: Path) -> Floats:
    lines = _read_lines(path)
    if lines and not lines[-1]:
        lines.pop()
    values = np.empty(len(lines), dtype=np.float64)
    for number, line in enumerate(lines):
        try:
            values[number] = float(line)
        except ValueError as error:
            message = f'line {number + 1}: "{line.strip()[:40]}" is not a number'
            raise malformed(message, file=str(path)) from error
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
