# SPDX-License-Identifier: MIT
"""Where the tensors of a foreign graph come from: a tensor directory, or data in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from fuseflow.interop.tensors.directory import TensorFolder
from fuseflow.interop.tensors.files import convert_tensor
from fuseflow.ir.tensor import Format, LevelFormat, Tensor

__all__ = ["BoundOperands", "FolderOperands", "JoinedOperands", "Operands"]


class Operands(Protocol):
    """Tensors by name; what a source does not know is None."""

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the sizes of the logical dimensions."""

    def has_data(self, name: str) -> bool:
        """Return whether the source has the values of a tensor."""

    def mode_order(self, name: str) -> tuple[int, ...] | None:
        """Return the order in which the source has stored the dimensions."""

    def load(
        self, name: str, mode_order: Sequence[int], compressed: Mapping[int, bool]
    ) -> Tensor | None:
        """Return the data; `compressed` has the formats of the levels that the graph states."""


class FolderOperands:
    """The tensors of a directory, stored as they are, or as they are walked if it says how."""

    def __init__(self, folder: TensorFolder) -> None:
        """Take tensors from a folder."""
        self.folder = folder

    def shape(self, name: str) -> tuple[int, ...] | None:
        """See `Operands`."""
        return self.folder.shape(name)

    def has_data(self, name: str) -> bool:
        """See `Operands`."""
        return self.folder.has_data(name)

    def mode_order(self, name: str) -> tuple[int, ...] | None:
        """See `Operands`."""
        return self.folder.mode_order(name)

    def load(
        self, name: str, mode_order: Sequence[int], compressed: Mapping[int, bool]
    ) -> Tensor | None:
        """See `Operands`."""
        if not self.folder.has_data(name):
            return None
        stored = self.folder.mode_order(name)
        if stored is None or stored == tuple(mode_order):
            return self.folder.read(name, mode_order)
        tensor = self.folder.read(name)
        kinds = dict(zip(stored, tensor.format.levels, strict=True))
        levels = tuple(kinds[mode] for mode in mode_order)
        return convert_tensor(tensor, Format(levels, tuple(mode_order)))


class BoundOperands:
    """Tensors in memory, converted to the format in which a graph walks them."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """Take tensors from a mapping."""
        self.tensors = tensors

    def shape(self, name: str) -> tuple[int, ...] | None:
        """See `Operands`."""
        return self.tensors[name].shape if name in self.tensors else None

    def has_data(self, name: str) -> bool:
        """See `Operands`."""
        return name in self.tensors

    def mode_order(self, name: str) -> tuple[int, ...] | None:
        """See `Operands`; the graph decides."""
        return None

    def load(
        self, name: str, mode_order: Sequence[int], compressed: Mapping[int, bool]
    ) -> Tensor | None:
        """See `Operands`."""
        if name not in self.tensors:
            return None
        kinds = (LevelFormat.DENSE, LevelFormat.COMPRESSED)
        levels = (kinds[compressed.get(level, False)] for level in range(len(mode_order)))
        return convert_tensor(self.tensors[name], Format(tuple(levels), tuple(mode_order)))


class JoinedOperands:
    """Several sources, of which the first that has a tensor counts."""

    def __init__(self, sources: Sequence[Operands]) -> None:
        """Take tensors from sources in this order."""
        self.sources = sources

    def shape(self, name: str) -> tuple[int, ...] | None:
        """See `Operands`."""
        source = self._of(name)
        return source.shape(name) if source else None

    def has_data(self, name: str) -> bool:
        """See `Operands`."""
        return any(source.has_data(name) for source in self.sources)

    def mode_order(self, name: str) -> tuple[int, ...] | None:
        """See `Operands`."""
        source = self._of(name)
        return source.mode_order(name) if source else None

    def load(
        self, name: str, mode_order: Sequence[int], compressed: Mapping[int, bool]
    ) -> Tensor | None:
        """See `Operands`."""
        source = self._of(name)
        return source.load(name, mode_order, compressed) if source else None

    def _of(self, name: str) -> Operands | None:
        """Return the first source that has data, else the first that knows the shape."""
        having = [source for source in self.sources if source.has_data(name)]
        knowing = [source for source in self.sources if source.shape(name) is not None]
        return next(iter([*having, *knowing]), None)
