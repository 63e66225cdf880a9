# SPDX-License-Identifier: MIT
"""Rules of the units that remove elements: drop, mask, valdrop."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from fuseflow.sim.params import MaskParams, ValDropParams
from fuseflow.sim.tokens import DONE, MISSING, Stop, Token
from fuseflow.sim.twin.ops import (
    Emit,
    Peek,
    Rule,
    Steps,
    Take,
    Tick,
    emit_all,
    is_element,
    retire,
    same_mark,
    take_aligned,
    take_done,
    take_element,
)
from fuseflow.sim.twin.process import Process
from fuseflow.sim.twin.scalar import equals

__all__ = ["drop", "mask", "valdrop"]

COMPARISONS = {
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
    "ge": operator.ge,
    "gt": operator.gt,
}


class _Drop:
    """One drop unit: its inner ports, and what it knows about the current outer list.

    `kept`: a list of it was kept; `due`: the stop of that list is withheld; `closing`: the outer
    stop that must come next, as the last inner list has closed the outer one too.
    """

    def __init__(self, unit: Process) -> None:
        self.unit = unit
        self.inner = range(1, len(unit.inputs))
        self.start_list()

    def start_list(self) -> None:
        self.kept = False
        self.due = False
        self.closing: Stop | None = None
        self.fresh = True


def drop(unit: Process) -> Rule:
    """Remove outer elements with an empty inner list, and those lists."""
    state = _Drop(unit)
    while (outer := (yield Peek(0))) is not DONE:
        if is_element(outer):
            if (yield from _drop_list(state)):
                yield Emit(0, outer)
            yield from take_element(unit, 0, 1)
        else:
            yield from _drop_stop(state, outer)
        yield Tick(unit.cost.ii)
    yield from take_aligned(unit, (0, *state.inner))
    yield from emit_all((0, *state.inner), DONE)


def _drop_list(state: _Drop) -> Steps[bool]:
    """Pass the elements of one inner list; return whether it has any.

    The stop of a kept list waits until the next kept list starts or the outer list closes.
    """
    unit = state.unit
    if state.closing:
        raise unit.misaligned(0, 1)
    state.fresh = False
    passed = False
    while True:
        tokens = yield from take_aligned(unit, state.inner)
        stop = tokens[0]
        if not is_element(stop):
            break
        if state.due:
            yield from emit_all(state.inner, Stop(0))
            state.due = False
        passed = state.kept = True
        for port, token in zip(state.inner, tokens, strict=True):
            yield Emit(port, token)
        yield Tick(unit.cost.inner)
    if stop is DONE or stop.e:
        raise unit.misaligned(0, 1)
    state.due |= passed
    if stop.n:
        state.closing = Stop(stop.n - 1)
        yield from emit_all(state.inner, Stop(stop.n, 0 if state.kept else 1))
    return passed


def _drop_stop(state: _Drop, outer: Stop) -> Rule:
    """Pass an outer stop; only that of a childless list has a counterpart in the inner stream."""
    unit = state.unit
    if state.fresh:
        tokens = yield from take_aligned(unit, state.inner)
        if not same_mark(tokens[0], Stop(outer.n + 1, outer.e + 1)):
            raise unit.misaligned(0, 1)
        yield from emit_all(state.inner, tokens[0])
    elif outer != state.closing:
        raise unit.misaligned(0, 1)
    yield Emit(0, outer)
    yield Take(0)
    state.start_list()


def mask(unit: Process) -> Rule:
    """Keep the inner elements that compare with their outer element; emptied lists stay."""
    keep = COMPARISONS[unit.params_of(MaskParams).keep]
    inner = range(1, len(unit.inputs))
    while True:
        outer = yield Peek(0)
        tokens = yield from take_aligned(unit, inner)
        head = tokens[0]
        if head is DONE:
            break
        if is_element(head) and not is_element(outer):
            raise unit.misaligned(0, 1)
        if not is_element(head):
            yield from retire(unit, 0, 1, head)
        if not is_element(head) or keep(outer, head):
            yield from _emit_row(tokens)
        yield Tick(unit.cost.ii)
    yield from take_done(unit, 0)
    yield from _emit_row(tokens)


def _emit_row(tokens: Sequence[Token]) -> Rule:
    for port, token in enumerate(tokens):
        yield Emit(port, token)


def valdrop(unit: Process) -> Rule:
    """Remove entries that are missing or equal to the fill; all stops stay."""
    fill = unit.params_of(ValDropParams).fill
    while True:
        crd, value = yield from take_aligned(unit, (0, 1))
        absent = is_element(value) and (value is MISSING or equals(value, fill))
        if not absent:
            yield from _emit_row((crd, value))
        if crd is DONE:
            return
        yield Tick(unit.cost.ii)
