# SPDX-License-Identifier: MIT
"""Where the arrays of a program lie in memory: input tensors packed, results an arena each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fuseflow.ir.einsum import Value
from fuseflow.ir.hardware import MemoryConfig
from fuseflow.ir.tensor import LevelFormat, Tensor

__all__ = ["WORD_BYTES", "AddressMap", "allocate"]

WORD_BYTES = 4
VALUES = "vals"
Array = tuple[str, int, str]
"""Tensor, level, and "seg", "crd" or "vals" (at level -1)."""


@dataclass(frozen=True, slots=True)
class AddressMap:
    """The byte address of the first word of every array that a program touches."""

    bases: Mapping[Array, int]

    def level(self, tensor: str, level: int) -> tuple[int, ...]:
        """Return where those of segments and coordinates are that a level has."""
        arrays = ((tensor, level, kind) for kind in ("seg", "crd"))
        return tuple(self.bases[array] for array in arrays if array in self.bases)

    def values(self, tensor: str) -> int:
        """Return where the values of a tensor are; 0 for a pattern."""
        return self.bases.get((tensor, -1, VALUES), 0)


def allocate(tensors: Mapping[str, Value], memory: MemoryConfig) -> AddressMap:
    """Give every array an address, in the order of declaration.

    Tensors that have data lie one behind the other, each array aligned to a line of every channel
    (or to `memory.align`). How large results become is not known yet: each of their arrays gets an
    arena of `memory.arena_bytes` behind the inputs.
    """
    align = memory.align or memory.hbm2.line_bytes * memory.hbm2.channels
    bases: dict[Array, int] = {}
    end = 0
    for name, value in tensors.items():
        for array, words in _stored(name, value.tensor):
            bases[array] = _up(end, align)
            end = bases[array] + WORD_BYTES * words
    for name, value in tensors.items():
        for array in _results(name, value):
            bases[array] = end = _up(end, memory.arena_bytes)
            end += memory.arena_bytes
    return AddressMap(bases)


def _up(address: int, align: int) -> int:
    return -(-address // align) * align


def _stored(name: str, tensor: Tensor | None) -> list[tuple[Array, int]]:
    """Return the arrays of a tensor with data, and their words."""
    if tensor is None:
        return []
    arrays: list[tuple[Array, int]] = []
    for number, level in enumerate(tensor.levels):
        for kind, data in (("seg", level.segments), ("crd", level.coordinates)):
            if data is not None:
                arrays.append(((name, number, kind), data.size))
    if tensor.values is not None:
        arrays.append(((name, -1, VALUES), tensor.values.size))
    return arrays


def _results(name: str, value: Value) -> list[Array]:
    """Return the arrays that a tensor without data will have."""
    if value.tensor is not None or value.format is None:
        return []
    kinds = {LevelFormat.COMPRESSED: ("seg", "crd"), LevelFormat.SINGLETON: ("crd",)}
    levels = enumerate(value.format.levels)
    stored = [(name, n, kind) for n, level in levels for kind in kinds.get(level, ())]
    return [*stored, (name, -1, VALUES)]
