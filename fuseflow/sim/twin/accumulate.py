# SPDX-License-Identifier: MIT
"""Rule of the sparse accumulator of any order: combine keyed lists over an outer coordinate.

Inputs are the reduced coordinate crd_n, the keys crd_{n-1} .. crd_0, and the values; port p of the
coordinates nests p levels below port 0. Every iteration retires one group: a leaf, the end of an
inner list together with the coordinate above it, or the end of a list of crd_n, which flushes.
"""

from __future__ import annotations

from typing import Any

from fuseflow.sim import faults
from fuseflow.sim.params import SpaccParams
from fuseflow.sim.tokens import DONE, MISSING, Stop, Token
from fuseflow.sim.twin.ops import (
    Emit,
    Rule,
    Take,
    Tick,
    emit_all,
    is_element,
    peek_each,
    retire,
    same_mark,
    take_aligned,
    take_done,
    take_element,
)
from fuseflow.sim.twin.process import Process
from fuseflow.sim.twin.scalar import narrow
from fuseflow.sim.twin.values import Folded, as_number, check_extent, tile_of

__all__ = ["spacc"]

Tree = dict[int, Any]
"""Keys to subtrees; keys of the last level to `Folded`."""


class _State:
    """The entries of the current list of crd_n, and what is known about each coordinate stream.

    `expected[p]`: the stop that port p must show next, as a stop further in closed that list too;
    `open[p]`: whether the current list of port p has had an element.
    """

    def __init__(self, unit: Process) -> None:
        self.unit = unit
        self.params = unit.params_of(SpaccParams)
        self.order = self.params.order
        self.value_port = self.order + 1
        self.shape_port = self.order + 2
        self.entries: Tree = {}
        self.open = [False] * (self.order + 1)
        self.expected: list[Stop | None] = [None] * (self.order + 1)
        self.tile = tile_of(unit, self.order)


def spacc(unit: Process) -> Rule:
    """Combine entries of equal keys; emit them in ascending order when the list of crd_n ends."""
    state = _State(unit)
    crds = range(state.order + 1)
    while True:
        heads = yield from peek_each((*crds, state.value_port))
        if heads[0] is DONE:
            break
        port = next((p for p in crds if not is_element(heads[p])), None)
        if port is None:
            yield from _retire_leaf(state, heads)
        elif port == 0:
            yield from _flush(state, heads[0])
        else:
            yield from _retire_list(state, port, heads[port])
        yield Tick(unit.cost.ii)
    yield from take_aligned(unit, (*crds, state.value_port))
    if unit.has_input(state.shape_port):
        yield from take_done(unit, state.shape_port)
    yield from emit_all(range(state.order + 1), DONE)


def _retire_leaf(state: _State, heads: list[Token]) -> Rule:
    """Combine one value into the entry of its keys."""
    unit, params = state.unit, state.params
    if any(state.expected) or not is_element(heads[state.value_port]):
        raise unit.misaligned(*range(state.value_port + 1))
    yield Take(state.order)
    value = yield Take(state.value_port)
    state.open = [True] * len(state.open)
    *outer, last = heads[1 : state.order + 1]
    node = state.entries
    for key in outer:
        node = node.setdefault(key, {})
    if value is MISSING:
        value = as_number(params.fill, state.tile)
    else:
        unit.flops += value.size
    if last in node:
        node[last].add(params.op, value)
    else:
        node[last] = Folded(value, 1, wide=params.wide)


def _retire_list(state: _State, port: int, stop: Token) -> Rule:
    """Retire the stop of an inner list and the coordinate above it."""
    unit = state.unit
    if stop is DONE or stop.e or state.expected[port - 1]:
        raise unit.misaligned(port - 1, port)
    yield from _take_stop(state, port, stop)
    yield from take_element(unit, port - 1, port)
    state.open[port - 1] = True
    state.expected[port - 1] = Stop(stop.n - 1) if stop.n else None


def _take_stop(state: _State, port: int, stop: Stop) -> Rule:
    """Remove a stop; if its list is empty, also its images on the streams further in."""
    unit = state.unit
    expected = state.expected[port]
    if (expected and expected != stop) or (state.open[port] and stop.e):
        raise unit.misaligned(*range(state.value_port + 1))
    if port < state.order and state.open[port] and expected is None:
        raise unit.misaligned(*range(state.value_port + 1))
    state.expected[port] = None
    yield Take(port)
    if port == state.order:
        yield from _take_image(state, port, state.value_port, stop)
    elif not state.open[port]:
        for depth, inner in enumerate(range(port + 1, state.order + 1), start=1):
            yield from _take_image(state, port, inner, Stop(stop.n + depth, stop.e + depth))
        yield from _take_image(state, port, state.value_port, Stop(stop.n + depth, stop.e + depth))
    state.open[port:] = [False] * (state.order + 1 - port)


def _take_image(state: _State, port: int, inner: int, image: Stop) -> Rule:
    if not same_mark((yield Take(inner)), image):
        raise state.unit.misaligned(port, inner)


def _flush(state: _State, stop: Stop) -> Rule:
    """Emit the entries of a list of crd_n that exists, and its stop."""
    unit = state.unit
    yield from _take_stop(state, 0, stop)
    if unit.has_input(state.shape_port):
        yield from retire(unit, state.shape_port, 0, stop)
    if stop.e:
        yield from _emit_empty(state, 0, stop)
    else:
        yield from _emit_list(state, 0, state.entries, stop)
    state.entries = {}


def _emit_empty(state: _State, port: int, stop: Stop) -> Rule:
    """Emit the stop of an empty list, and its images further in."""
    for depth in range(state.order - port):
        yield Emit(port + depth, Stop(stop.n + depth, stop.e + depth))
    depth = state.order - port - 1
    yield Emit(state.order, Stop(stop.n + depth, stop.e + depth))


def _emit_list(state: _State, port: int, tree: Tree, stop: Stop) -> Rule:
    """Emit one list of keys with all that is below it; `stop` closes it on this port."""
    size = state.params.full[port]
    keys = range(size) if size else sorted(tree)
    beyond = [key for key in tree if size and key >= size]
    if beyond:
        raise faults.out_of_range(
            state.unit.kernel, state.unit.unit.name, "coordinate", min(beyond), size
        )
    if not keys:
        yield from _emit_empty(state, port, stop)
        return
    is_leaf = port == state.order - 1
    for key in keys:
        yield Emit(port, key)
        if is_leaf:
            yield Emit(state.order, _leaf(state, tree.get(key)))
            yield Tick(state.unit.cost.flush_ii)
        else:
            inner = Stop(stop.n + 1) if key == keys[-1] else Stop(0)
            yield from _emit_list(state, port + 1, tree.get(key, {}), inner)
    yield from emit_all((port, state.order) if is_leaf else (port,), stop)


def _leaf(state: _State, folded: Folded | None) -> Token:
    """Return the value of an entry, or of one that only a full level lists."""
    params = state.params
    if folded is None:
        if params.extent is None:
            return as_number(params.missing, state.tile)
        folded = Folded(as_number(params.init, state.tile), wide=params.wide)
    check_extent(state.unit, folded, params.extent)
    return narrow(folded.corrected(params.op, params.fill, params.extent))
