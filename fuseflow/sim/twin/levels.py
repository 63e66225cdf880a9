# SPDX-License-Identifier: MIT
"""Rules of the units that create structure: root, scan, full, locate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from fuseflow.sim.params import FullParams, LocateParams, ScanParams
from fuseflow.sim.tokens import DONE, MISSING, Stop, Token
from fuseflow.sim.twin.ops import (
    Emit,
    Peek,
    Rule,
    Served,
    Steps,
    Take,
    Tick,
    emit_all,
    is_element,
    retire,
    take_aligned,
    take_done,
)
from fuseflow.sim.twin.process import Process

__all__ = ["emit_pair", "expand", "full", "locate", "root", "scan", "stored_fiber"]

Fiber = Sequence[tuple[int, int]]
"""Coordinates of one list with their positions."""


def root(unit: Process) -> Rule:
    """Send the one reference 0."""
    for token in (0, DONE):
        yield Emit(0, token)
        yield Tick(unit.cost.ii)


def scan(unit: Process) -> Rule:
    """Turn each reference into the fiber below it, a missing one into an empty fiber."""
    params = unit.params_of(ScanParams)

    def walk(reference: Token) -> Rule:
        for pair in stored_fiber(unit, params, reference):
            yield from emit_pair(unit, pair)
            yield Tick(unit.cost.ii)

    yield from expand(unit, walk)


def full(unit: Process) -> Rule:
    """Turn each element, missing or not, into all coordinates of a dense index."""
    size = unit.params_of(FullParams).size

    def walk(_element: Token) -> Rule:
        for coordinate in range(size):
            yield Emit(0, coordinate)
            yield Tick(unit.cost.ii)

    yield from expand(unit, walk)


def expand(unit: Process, walk: Callable[[Token], Rule]) -> Rule:
    """Replace elements by lists; the token after an element decides the stop of its list.

    `walk` emits the list of an element and lets its time pass.
    """
    outputs = range(len(unit.outputs))
    while (token := (yield Take(0))) is not DONE:
        if is_element(token):
            yield from walk(token)
            stop = yield from _closing_stop(unit)
        else:
            stop = Stop(token.n + 1, token.e + 1)
        yield from emit_all(outputs, stop)
        yield Tick(unit.cost.ii)
        yield Served()
    yield from emit_all(outputs, DONE)


def emit_pair(unit: Process, pair: tuple[int, int]) -> Rule:
    """Send a coordinate and its position."""
    yield from _emit_each(range(len(unit.outputs)), pair)


def _emit_each(outputs: Iterable[int], tokens: tuple[Token, ...]) -> Rule:
    for port, token in zip(outputs, tokens, strict=False):
        yield Emit(port, token)


def _closing_stop(unit: Process) -> Steps[Stop]:
    """Peek behind an element: a stop closes its list as well and is absorbed."""
    token = yield Peek(0)
    if not isinstance(token, Stop):
        return Stop(0)
    if token.e:
        raise unit.misaligned(0)
    yield Take(0)
    return Stop(token.n + 1)


def stored_fiber(unit: Process, params: ScanParams, reference: Token) -> Fiber:
    """Return the fiber of a reference, and count the words read; refuse a wrong reference."""
    if reference is MISSING:
        return ()
    if reference >= params.parents:
        raise unit.out_of_range("reference", reference, params.parents)
    if params.format == "dense":
        base = reference * params.size
        return [(c, base + c) for c in range(params.size)]
    assert params.coordinates is not None
    if params.format == "singleton":
        unit.words_read += 1
        return ((int(params.coordinates[reference]), reference),)
    assert params.segments is not None
    start, end = int(params.segments[reference]), int(params.segments[reference + 1])
    unit.words_read += 2 + end - start
    return [(int(params.coordinates[a]), a) for a in range(start, end)]


def locate(unit: Process) -> Rule:
    """Compute, or search for, the position of each coordinate below its parent."""
    params = unit.params_of(LocateParams)
    payloads = range(2, len(unit.inputs))
    has_parent = unit.has_input(1)
    while True:
        parent = (yield Peek(1)) if has_parent else 0
        crd, *pays = yield from take_aligned(unit, (0, *payloads))
        position, ticks = crd, 0
        if is_element(crd):
            if not is_element(parent):
                raise unit.misaligned(1, 0)
            position, ticks = _position(unit, params, parent, crd)
        yield from _emit_each((1, *payloads, 0), (position, *pays, crd))
        if crd is DONE:
            break
        if isinstance(crd, Stop) and has_parent:
            yield from retire(unit, 1, 0, crd)
        yield Tick(unit.cost.ii + ticks)
    if has_parent:
        yield from take_done(unit, 1)


def _position(unit: Process, params: LocateParams, parent: Token, crd: int) -> tuple[Token, int]:
    """Return the position of a coordinate below its parent, and the extra ticks of a search."""
    if crd >= params.size:
        raise unit.out_of_range("coordinate", crd, params.size)
    if parent is MISSING:
        return MISSING, 0
    if params.search:
        return _search(unit, params, parent, crd)
    return parent * params.parent_stride + crd * params.stride + params.base, 0


def _search(unit: Process, params: LocateParams, parent: int, crd: int) -> tuple[Token, int]:
    assert params.segments is not None
    assert params.coordinates is not None
    if parent + 1 >= len(params.segments):
        raise unit.out_of_range("reference", parent, len(params.segments) - 1)
    start, end = int(params.segments[parent]), int(params.segments[parent + 1])
    probes = math.ceil(math.log2(end - start + 1))
    unit.words_read += 2 + probes
    found = start + int(np.searchsorted(params.coordinates[start:end], crd))
    hit = found < end and params.coordinates[found] == crd
    return (found if hit else MISSING), probes
