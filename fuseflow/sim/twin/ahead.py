# SPDX-License-Identifier: MIT
"""Rules of the units that read a DRAM: their front end (`prefetch`) has asked for the data."""

from __future__ import annotations

from fuseflow.sim.memory.addresses import WORD_BYTES
from fuseflow.sim.params import ArrayParams, ScanParams
from fuseflow.sim.tokens import DONE, MISSING, Token
from fuseflow.sim.twin.access import touches_of
from fuseflow.sim.twin.levels import emit_pair, expand, stored_fiber
from fuseflow.sim.twin.ops import Emit, Fetched, Rule, Served, Take, Tick, Use, is_element
from fuseflow.sim.twin.process import Process
from fuseflow.sim.twin.values import as_number

__all__ = ["array_ahead", "scan_ahead"]


def scan_ahead(unit: Process) -> Rule:
    """Walk stored fibers; each coordinate leaves when its line is here."""
    params = unit.params_of(ScanParams)
    array = 1 if params.format == "compressed" else 0
    base = unit.unit.bases[array] if unit.unit.bases else 0

    def walk(reference: Token) -> Rule:
        pairs = stored_fiber(unit, params, reference)
        yield Fetched()
        for pair in pairs:
            yield Use(array, base + WORD_BYTES * pair[1])
            yield from emit_pair(unit, pair)
            yield Tick(unit.cost.ii)

    yield from expand(unit, walk)


def array_ahead(unit: Process) -> Rule:
    """Send the value of each reference when all of its lines are here."""
    params = unit.params_of(ArrayParams)
    assert params.values is not None
    fill = as_number(params.fill, params.values.shape[1:])
    (touches,) = touches_of(unit.unit, unit.line_bytes)
    while (token := (yield Take(0))) is not DONE:
        if not is_element(token) or token is MISSING:
            yield Emit(0, fill if token is MISSING else token)
        elif not 0 <= token < params.positions:
            raise unit.out_of_range("reference", token, params.positions)
        else:
            unit.words_read += params.values[0].size
            for address in touches(token):
                yield Use(0, address)
            yield Emit(0, params.values[token], unit.cost.latency)
        yield Tick(unit.cost.ii)
        yield Served()
    yield Emit(0, DONE)
