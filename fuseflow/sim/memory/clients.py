# SPDX-License-Identifier: MIT
"""Which arrays in memory a unit touches; each is one client of a memory model."""

from __future__ import annotations

from itertools import accumulate

from fuseflow.sim.machine import Machine, Unit
from fuseflow.sim.params import ArrayParams, LevelWriteParams, ScanParams, ValWriteParams

__all__ = ["arrays_of", "first_clients", "owners_of"]

_LEVELS = {"compressed": ("seg", "crd"), "singleton": ("crd",)}


def arrays_of(unit: Unit) -> tuple[str, ...]:
    """Return the arrays of a unit in the order of its clients and of `Unit.bases`."""
    match unit.params:
        case ScanParams(format=kind) | LevelWriteParams(format=kind):
            return _LEVELS.get(kind, ())
        case ArrayParams(values=values):
            return ("vals",) if values is not None else ()
        case ValWriteParams():
            return ("vals",)
        case _:
            return ()


def first_clients(machine: Machine) -> list[int]:
    """Return the number of the first client of every unit; clients are numbered in unit order."""
    counts = [len(arrays_of(unit)) for unit in machine.units]
    return list(accumulate(counts, initial=0))[:-1]


def owners_of(machine: Machine) -> list[int]:
    """Return the unit that every client belongs to."""
    return [index for index, unit in enumerate(machine.units) for _ in arrays_of(unit)]
