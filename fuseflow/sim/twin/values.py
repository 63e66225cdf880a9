# SPDX-License-Identifier: MIT
"""Rules of the units that handle numbers one by one: array, alu, reduce."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuseflow.sim import faults
from fuseflow.sim.params import AluParams, ArrayParams, Fill, ReduceParams
from fuseflow.sim.tokens import DONE, MISSING, Stop, Token
from fuseflow.sim.twin.ops import (
    Emit,
    Rule,
    Take,
    Tick,
    is_element,
    retire,
    take_aligned,
    take_done,
)
from fuseflow.sim.twin.process import Process
from fuseflow.sim.twin.scalar import Precision, apply, combine, fold_absent, narrow

__all__ = ["Folded", "alu", "array", "as_number", "check_extent", "reduce", "tile_of"]


def tile_of(unit: Process, port: int) -> tuple[int, ...]:
    """Return the tile shape of an output; () for numbers and void outputs."""
    fifo = unit.outputs[port]
    return fifo.channel.tile if fifo else ()


def as_number(fill: Fill, tile: tuple[int, ...]) -> Token:
    """Return a fill as the token that it stands for."""
    if tile:
        return np.broadcast_to(np.asarray(fill, np.float32), tile)
    return np.float32(fill)


def array(unit: Process) -> Rule:
    """Read the value of each reference; a missing reference yields the fill."""
    params = unit.params_of(ArrayParams)
    tile = params.values.shape[1:] if params.values is not None else tile_of(unit, 0)
    fill, one = as_number(params.fill, tile), as_number(1.0, tile)
    while (token := (yield Take(0))) is not DONE:
        if not is_element(token):
            yield Emit(0, token)
        elif token is MISSING:
            yield Emit(0, fill)
        elif not 0 <= token < params.positions:
            raise unit.out_of_range("reference", token, params.positions)
        elif params.values is None:
            yield Emit(0, one, unit.cost.latency)
        else:
            unit.words_read += params.values[0].size
            yield Emit(0, params.values[token], unit.cost.latency)
        yield Tick(unit.cost.ii)
    yield Emit(0, DONE)


def alu(unit: Process) -> Rule:
    """Apply a function to one or two streams; a missing operand is its fill."""
    params = unit.params_of(AluParams)
    ports = range(len(params.fills))
    while True:
        tokens = yield from take_aligned(unit, ports)
        head = tokens[0]
        if is_element(head):
            pairs = zip(tokens, params.fills, strict=True)
            operands = tuple(fill if token is MISSING else token for token, fill in pairs)
            unit.flops += params.flops
            result = apply(params.fn, operands, params.parameters, params.tile_op)
            yield Emit(0, result, unit.cost.latency)
        else:
            yield Emit(0, head)
        if head is DONE:
            return
        yield Tick(unit.cost.ii)


class Folded:
    """An accumulator with the number of entries that went into it; a wide one adds in float64."""

    __slots__ = ("count", "precision", "value")

    def __init__(self, value: Token, count: int = 0, *, wide: bool = False) -> None:
        self.value = value
        self.count = count
        self.precision: Precision = np.float64 if wide else np.float32

    def add(self, op: str, token: Token) -> None:
        """Fold one more entry."""
        self.value = combine(op, self.value, token, self.precision)
        self.count += 1

    def corrected(self, op: str, fill: Any, extent: int | None) -> Token:
        """Return the value with the fill of entries that were not iterated folded in.

        It has the precision of the accumulator: `narrow` rounds it.
        """
        if extent is None:
            return self.value
        return fold_absent(op, self.value, fill, extent - self.count, self.precision)


def check_extent(unit: Process, folded: Folded, extent: int | None) -> None:
    """Refuse a list with more entries than its extent."""
    if extent is not None and folded.count > extent:
        raise faults.overfull(unit.kernel, unit.unit.name, folded.count, extent)


def reduce(unit: Process) -> Rule:
    """Fold each innermost list into one value, in arrival order."""
    params = unit.params_of(ReduceParams)
    tile = tile_of(unit, 0)
    init = as_number(params.init, tile)
    folded = Folded(init, wide=params.wide)
    while (token := (yield Take(0))) is not DONE:
        ticks = unit.cost.ii
        if token is MISSING:
            folded.add(params.op, params.fill)
            ticks = unit.cost.n_cost
        elif is_element(token):
            folded.add(params.op, token)
            unit.flops += token.size
        else:
            yield from _close_list(unit, params, token, folded)
            folded = Folded(init, wide=params.wide)
        yield Tick(ticks)
    if unit.has_input(1):
        yield from take_done(unit, 1)
    yield Emit(0, DONE)


def _close_list(unit: Process, params: ReduceParams, stop: Stop, folded: Folded) -> Rule:
    """Emit the value of a list that exists, then the stop of the lists around it."""
    check_extent(unit, folded, params.extent)
    if unit.has_input(1):
        yield from retire(unit, 1, 0, stop)
    if stop.e == 0:
        yield Emit(0, _result(params, folded, tile_of(unit, 0)), unit.cost.latency)
    if stop.n:
        yield Emit(0, Stop(stop.n - 1, max(stop.e - 1, 0)))


def _result(params: ReduceParams, folded: Folded, tile: tuple[int, ...]) -> Token:
    if folded.count == 0 and params.extent is None:
        return as_number(params.empty, tile)
    value = folded.corrected(params.op, params.fill, params.extent)
    if params.tile_axis:
        value = _fold_columns(params.op, value, folded.precision)
    return narrow(value)


def _fold_columns(op: str, tile: Token, precision: Precision) -> Token:
    """Replace each row of a tile by its fold, in all columns."""
    row = tile[:, 0]
    for column in range(1, tile.shape[1]):
        row = combine(op, row, tile[:, column], precision)
    return np.repeat(row[:, None], tile.shape[1], axis=1)
