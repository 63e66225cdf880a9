# SPDX-License-Identifier: MIT
"""Put what the writers of a kernel stored together to tensors, and refuse what does not fit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fuseflow.errors import GraphError
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Level, LevelFormat, Tensor
from fuseflow.sim.faults import wrong_result
from fuseflow.sim.machine import Machine
from fuseflow.sim.params import LevelWriteParams, ValWriteParams
from fuseflow.sim.result import MachineResult, WrittenLevel

__all__ = ["assemble"]


class _Parts:
    """What was written of one tensor: levels by number, and the values with their writer's name."""

    def __init__(self) -> None:
        self.levels: dict[int, tuple[str, WrittenLevel]] = {}
        self.values: tuple[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] | None = None


def assemble(
    machine: Machine, result: MachineResult, tensors: Mapping[str, Value]
) -> dict[str, Tensor]:
    """Return the tensors that a finished kernel wrote, by name.

    Args:
        machine: the kernel.
        result: its complete run.
        tensors: shape, format and fill of every tensor.

    Raises:
        GraphError: rule RESULT: a level or the values do not fit format, shape or each other.
    """
    parts: dict[str, _Parts] = {}
    for unit, figures in zip(machine.units, result.units, strict=True):
        match unit.params:
            case LevelWriteParams(tensor=name, level=level):
                assert figures.level is not None
                parts.setdefault(name, _Parts()).levels[level] = (unit.name, figures.level)
            case ValWriteParams(tensor=name):
                assert figures.values is not None
                parts.setdefault(name, _Parts()).values = (unit.name, figures.values)
    return {name: _tensor(machine.name, tensors[name], made) for name, made in parts.items()}


def _tensor(kernel: str, value: Value, parts: _Parts) -> Tensor:
    fmt = value.format
    assert fmt is not None
    levels: list[Level] = []
    parents = 1
    for number, (kind, mode) in enumerate(zip(fmt.levels, fmt.mode_order, strict=True)):
        level = _Stored(kernel, value.name, number, kind, value.counts[mode], parents)
        levels.append(level.build(parts.levels.get(number)))
        parents = levels[-1].positions(parents)
    values = None
    if parts.values is not None:
        writer, values = parts.values
        if len(values) != parents:
            message = f'{len(values)} values for {parents} positions of "{value.name}"'
            raise wrong_result(kernel, writer, message)
    return Tensor(value.shape, tuple(levels), fmt.mode_order, values, value.fill, fmt.tile)


class _Stored:
    """One level to be built: what it must be, and where to complain."""

    def __init__(
        self, kernel: str, tensor: str, number: int, kind: LevelFormat, size: int, parents: int
    ) -> None:
        self.kernel = kernel
        self.what = f'level {number} of "{tensor}"'
        self.kind = kind
        self.size = size
        self.parents = parents

    def build(self, written: tuple[str, WrittenLevel] | None) -> Level:
        if written is None:
            if self.kind is LevelFormat.DENSE:
                return Level(self.kind, self.size)
            raise wrong_result(self.kernel, "", f"{self.what} is {self.kind} but was not written")
        writer, data = written
        segments, coordinates = data.segments, data.coordinates
        if len(segments) != self.parents + 1:
            raise self._wrong(writer, f"{len(segments) - 1} lists for {self.parents} positions")
        if len(coordinates) and not 0 <= coordinates.min() <= coordinates.max() < self.size:
            raise self._wrong(writer, f"coordinate {coordinates.max()} at extent {self.size}")
        self._check_lists(writer, data)
        match self.kind:
            case LevelFormat.DENSE:
                return Level(self.kind, self.size)
            case LevelFormat.SINGLETON:
                return Level(self.kind, self.size, None, coordinates)
            case LevelFormat.COMPRESSED:
                return Level(self.kind, self.size, segments, coordinates)

    def _check_lists(self, writer: str, data: WrittenLevel) -> None:
        lengths = np.diff(data.segments)
        wanted = {LevelFormat.DENSE: self.size, LevelFormat.SINGLETON: 1}.get(self.kind)
        if wanted is not None and (lengths != wanted).any():
            raise self._wrong(writer, f"a list of {lengths[lengths != wanted][0]} coordinates")
        inside = np.ones(max(len(data.coordinates) - 1, 0), np.bool_)
        borders = data.segments[(data.segments > 0) & (data.segments < len(data.coordinates))]
        inside[borders - 1] = False
        if (np.diff(data.coordinates)[inside] <= 0).any():
            raise self._wrong(writer, "coordinates that do not ascend")

    def _wrong(self, writer: str, found: str) -> GraphError:
        message = f"{self.what} ({self.kind}) cannot hold {found}"
        return wrong_result(self.kernel, writer, message)
