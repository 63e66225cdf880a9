# SPDX-License-Identifier: MIT
"""The table of rules: which generator runs which kind of unit, under each memory model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fuseflow.ir.hardware import MemoryConfig
from fuseflow.sim.machine import Unit, UnitKind
from fuseflow.sim.memory import arrays_of
from fuseflow.sim.twin import accumulate, ends, filters, lanes, levels, merge, repeats, values
from fuseflow.sim.twin.ahead import array_ahead, scan_ahead
from fuseflow.sim.twin.ops import Rule
from fuseflow.sim.twin.process import Process
from fuseflow.sim.twin.queued import array_by_vectors, scan_by_vectors

__all__ = ["RULES", "rule_of"]

RULES: Mapping[UnitKind, Callable[[Process], Rule]] = {
    UnitKind.SOURCE: ends.source,
    UnitKind.SINK: ends.sink,
    UnitKind.REPSIG: repeats.repsig,
    UnitKind.ROOT: levels.root,
    UnitKind.SCAN: levels.scan,
    UnitKind.FULL: levels.full,
    UnitKind.LOCATE: levels.locate,
    UnitKind.JOIN: merge.join,
    UnitKind.REPEAT: repeats.repeat,
    UnitKind.REPLAY: repeats.replay,
    UnitKind.HOLD: repeats.hold,
    UnitKind.DROP: filters.drop,
    UnitKind.MASK: filters.mask,
    UnitKind.VALDROP: filters.valdrop,
    UnitKind.ARRAY: values.array,
    UnitKind.ALU: values.alu,
    UnitKind.REDUCE: values.reduce,
    UnitKind.SPACC: accumulate.spacc,
    UnitKind.FORK: lanes.fork,
    UnitKind.GATHER: lanes.gather,
    UnitKind.BROADCAST: lanes.broadcast,
    UnitKind.CONCAT: lanes.concat,
    UnitKind.LEVEL_WRITE: ends.level_write,
    UnitKind.VAL_WRITE: ends.val_write,
}


def rule_of(unit: Unit, memory: MemoryConfig) -> Callable[[Process], Rule]:
    """Return the rule of a unit; readers of stored arrays have one of their own per model."""
    if arrays_of(unit) and unit.kind in (UnitKind.SCAN, UnitKind.ARRAY):
        is_scan = unit.kind is UnitKind.SCAN
        if memory.model == "comal-hbm":
            return (scan_by_vectors if is_scan else array_by_vectors)(memory.comal_hbm.batch)
        if memory.model == "hbm2":
            return scan_ahead if is_scan else array_ahead
    return RULES[unit.kind]
