# SPDX-License-Identifier: MIT
"""A list of coordinates and values, which is what most formats of sparse tensors come down to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fuseflow.interop.faults import malformed
from fuseflow.ir.tensor import Format, LevelFormat, Tensor, tensor_from_coordinates

__all__ = ["Entries"]


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Stored entries in any order: i64 [entries, order] and f32 [entries].

    `layout` is the format in which the file stored them, where it did; `file` is for errors.
    """

    shape: tuple[int, ...]
    coordinates: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    file: str
    layout: Format | None = None

    def tensor(self, fmt: Format | None = None) -> tuple[Tensor, tuple[str, ...]]:
        """Store the entries in a format, by default that of the file, else all compressed.

        Returns:
            The tensor, and a remark if entries of equal coordinates were added.

        Raises:
            InterchangeError: X001 if a coordinate is out of range or the format does not fit.
        """
        order = len(self.shape)
        if len(self.coordinates) and order:
            self._check_range()
        coordinates, values = self._combined()
        remarks: tuple[str, ...] = ()
        if len(values) < len(self.values):
            count = len(self.values) - len(values)
            remarks = (f"{self.file}: {count} repeated entries were added up",)
        fmt = fmt or self.layout or Format((LevelFormat.COMPRESSED,) * order, tuple(range(order)))
        try:
            return tensor_from_coordinates(self.shape, coordinates, values, fmt), remarks
        except ValueError as error:
            raise malformed(str(error), file=self.file) from error

    def _check_range(self) -> None:
        wrong = ((self.coordinates < 0) | (self.coordinates >= np.array(self.shape))).any(axis=1)
        if wrong.any():
            place = int(wrong.argmax())
            message = f"entry {place + 1} is at {self.coordinates[place].tolist()}"
            raise malformed(f"{message}, outside of {list(self.shape)}", file=self.file)

    def _combined(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Add up entries of equal coordinates, in float64 and in the order of the file."""
        if not len(self.values) or not self.shape:
            return self.coordinates, self.values
        unique, place = np.unique(self.coordinates, axis=0, return_inverse=True)
        if len(unique) == len(self.values):
            return self.coordinates, self.values
        sums = np.bincount(place.reshape(-1), self.values.astype(np.float64), len(unique))
        return unique, sums.astype(np.float32)
