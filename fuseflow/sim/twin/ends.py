# SPDX-License-Identifier: MIT
"""Rules of the units at the ends of a graph: source and sink of tests, the writers of results."""

from __future__ import annotations

import math

import numpy as np

from fuseflow.sim.params import LevelWriteParams, SourceParams, ValWriteParams
from fuseflow.sim.result import WrittenLevel
from fuseflow.sim.tokens import DONE, MISSING, Stop, Token
from fuseflow.sim.twin.ops import Emit, Rest, Rule, Take, Tick, is_element, take_aligned
from fuseflow.sim.twin.process import Process
from fuseflow.sim.twin.values import as_number

__all__ = ["level_write", "sink", "source", "val_write"]


def source(unit: Process) -> Rule:
    """Send given tokens, none before its stamp."""
    stream = unit.params_of(SourceParams).stream
    for token, stamp in zip(stream.tokens(), stream.stamps.tolist(), strict=True):
        yield Rest(stamp - 1)
        yield Emit(0, token)
        yield Tick(unit.cost.ii)


def sink(unit: Process) -> Rule:
    """Consume one token per cycle."""
    token = None
    while token is not DONE:
        token = yield Take(0)
        yield Tick(unit.cost.ii)


def level_write(unit: Process) -> Rule:
    """Store coordinates; every list that exists ends a segment."""
    stored = unit.params_of(LevelWriteParams).format
    segments: list[int] = [0]
    coordinates: list[int] = []
    crd_array = 1 if stored == "compressed" else 0
    if stored == "compressed":
        yield from unit.store.put(0, 0, 1)
    while (token := (yield Take(0))) is not DONE:
        ticks = unit.cost.ii
        if not isinstance(token, Stop):
            if stored != "dense":
                yield from unit.store.put(crd_array, len(coordinates), 1)
            coordinates.append(token)
        elif token.e == 0:
            if stored == "compressed":
                yield from unit.store.put(0, len(segments), 1)
            segments.append(len(coordinates))
        else:
            ticks = 0
        yield Tick(ticks)
    yield from unit.store.close()
    if stored != "dense":
        unit.words_written += len(coordinates)
    if stored == "compressed":
        unit.words_written += len(segments)
    unit.level = WrittenLevel(np.array(segments, np.int64), np.array(coordinates, np.int64))


def val_write(unit: Process) -> Rule:
    """Store values, a missing one as the fill; in order of arrival or where `ref` says."""
    params = unit.params_of(ValWriteParams)
    fifo = unit.inputs[0]
    tile = fifo.channel.tile if fifo else ()
    fill = as_number(params.fill, tile)
    placed = unit.has_input(1)
    written: list[tuple[int, Token]] = []
    while True:
        token, *ref = yield from take_aligned(unit, (0, 1) if placed else (0,))
        if token is DONE:
            break
        if is_element(token):
            position = ref[0] if placed else len(written)
            if params.positions is not None and not 0 <= position < params.positions:
                raise unit.out_of_range("reference", position, params.positions)
            written.append((position, fill if token is MISSING else token))
            words = math.prod(tile)
            yield from unit.store.put(0, position * words, words)
            yield Tick(unit.cost.ii)
    count = params.positions if placed and params.positions is not None else len(written)
    values = np.full((count, *tile), fill, np.float32)
    for position, value in written:
        values[position] = value
    unit.words_written = sum(np.size(value) for _, value in written)
    unit.values = values
    yield from unit.store.close()
    yield Tick(unit.cost.done)
