# SPDX-License-Identifier: MIT
"""The table of rules: which generator runs which kind of unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fuseflow.sim.machine import UnitKind
from fuseflow.sim.twin import accumulate, ends, filters, lanes, levels, merge, repeats, values
from fuseflow.sim.twin.ops import Rule
from fuseflow.sim.twin.process import Process

__all__ = ["RULES"]

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
