# SPDX-License-Identifier: MIT
"""Rules of the units that split, copy and join streams: fork, gather, broadcast, concat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fuseflow.sim.params import ConcatParams, GatherParams
from fuseflow.sim.tokens import DONE, MISSING, Stop, Token
from fuseflow.sim.twin.ops import (
    Copy,
    Emit,
    Peek,
    Rule,
    Steps,
    Take,
    Tick,
    emit_all,
    is_element,
    same_mark,
    take_aligned,
    take_done,
)
from fuseflow.sim.twin.process import Process

__all__ = ["broadcast", "concat", "fork", "gather"]


def broadcast(unit: Process) -> Rule:
    """Send every token to all outputs with one stamp, when all have room."""
    while (token := (yield Take(0))) is not DONE:
        yield Copy(token)
    yield Copy(DONE)


def fork(unit: Process) -> Rule:
    """Deal the elements of each innermost list to the lanes in turn; the last output names them."""
    lanes = len(unit.outputs) - 1
    turn = 0
    while True:
        token = yield Take(0)
        if is_element(token):
            yield Emit(turn, token)
            yield Emit(lanes, turn)
            turn = (turn + 1) % lanes
        else:
            yield from emit_all(range(lanes + 1), token)
            turn = 0
        if token is DONE:
            break
        yield Tick(unit.cost.ii)
    yield Tick(unit.cost.done)


class _Gather:
    """One gather unit: which lanes have ended the current list, each with the level it closed."""

    def __init__(self, unit: Process) -> None:
        params = unit.params_of(GatherParams)
        self.unit = unit
        self.lanes = params.lanes
        self.depth = params.depth
        self.sel = params.lanes if unit.has_input(params.lanes) else None
        self.closed: dict[int, int] = {}

    def has_ended(self, lane: int) -> Steps[bool]:
        """Look whether a lane has no element left in the current list."""
        if lane in self.closed:
            return True
        head = yield Peek(lane)
        return _ends_list(head, self.depth)

    def close_rest(self, n: int) -> Rule:
        """Remove the stops of lanes without a last element; all lanes close the same level."""
        for lane in range(self.lanes):
            if lane in self.closed:
                fits = self.closed[lane] == n
            else:
                fits = same_mark((yield Take(lane)), Stop(n, self.depth))
            if not fits:
                raise self.unit.misaligned(*range(self.lanes))
        self.closed = {}


def _ends_list(token: Token, depth: int) -> bool:
    """Return whether the head of a lane says that a list of `depth`-deep elements has no more."""
    return isinstance(token, Stop) and (depth == 0 or token.e >= depth)


def gather(unit: Process) -> Rule:
    """Collect the elements of the lanes, in turn or as the selection says."""
    state = _Gather(unit)
    choose = _choose_by_turn if state.sel is None else _choose_by_sel
    lane = 0
    while (chosen := (yield from choose(state, lane))) is not DONE:
        if isinstance(chosen, Stop):
            yield from _gather_stop(state, chosen)
            lane = 0
            continue
        closing = yield from _gather_element(state, chosen)
        if closing is None:
            lane = (chosen + 1) % state.lanes
        else:
            lane = yield from _end_element(state, chosen, closing)
    yield from _gather_done(state)


def _choose_by_turn(state: _Gather, lane: int) -> Steps[Token]:
    """Return the lane in turn, or the token that ends the list."""
    head = yield Peek(lane)
    return head if head is DONE or _ends_list(head, state.depth) else lane


def _choose_by_sel(state: _Gather, _lane: int) -> Steps[Token]:
    """Return the lane that the selection names, or the stop of an empty list, or done."""
    assert state.sel is not None
    sel = yield Take(state.sel)
    if isinstance(sel, Stop):
        return Stop(sel.n + state.depth, sel.e + state.depth)
    if is_element(sel) and not 0 <= sel < state.lanes:
        raise state.unit.misaligned(state.sel)
    return sel


def _gather_stop(state: _Gather, stop: Stop) -> Rule:
    """End a list between two elements: all lanes show the same stop."""
    unit = state.unit
    tokens = yield from take_aligned(unit, range(state.lanes))
    if not same_mark(tokens[0], stop):
        raise unit.misaligned(*range(len(unit.inputs)))
    yield Emit(0, stop)
    yield Tick(unit.cost.ii)


def _gather_element(state: _Gather, lane: int) -> Steps[Stop | None]:
    """Pass one element but its closing stop, which is returned; numbers have none."""
    unit = state.unit
    while True:
        token = yield Take(lane)
        if token is DONE or _ends_list(token, state.depth):
            raise unit.misaligned(*range(len(unit.inputs)))
        if isinstance(token, Stop) and token.n >= state.depth - 1:
            return token
        yield Emit(0, token)
        yield Tick(unit.cost.ii)
        if state.depth == 0:
            return None


def _end_element(state: _Gather, lane: int, closing: Stop) -> Steps[int]:
    """Emit the stop of an element; the last one of a list closes the list. Return the next lane."""
    unit, depth = state.unit, state.depth
    if closing.n >= depth:
        state.closed[lane] = closing.n
    following = (lane + 1) % state.lanes
    level = yield from _level_after(state, lane, following, closing)
    if level is None:
        yield Emit(0, Stop(depth - 1, closing.e))
    else:
        yield from state.close_rest(level)
        yield Emit(0, Stop(level, closing.e))
        following = 0
    yield Tick(unit.cost.ii)
    return following


def _level_after(state: _Gather, lane: int, following: int, closing: Stop) -> Steps[int | None]:
    """Return the level that the list closes behind this element, None if another one follows."""
    if state.sel is None:
        ended = lane in state.closed and (yield from state.has_ended(following))
        return closing.n if ended else None
    head = yield Peek(state.sel)
    if not isinstance(head, Stop):
        return None
    yield Take(state.sel)
    return head.n + state.depth


def _gather_done(state: _Gather) -> Rule:
    """Remove the ends of all lanes, a cycle apart as far as `done` pays for it."""
    unit = state.unit
    for lane in range(state.lanes):
        if 0 < lane <= unit.cost.done:
            yield Tick(1)
        yield from take_done(unit, lane)
    yield Emit(0, DONE)


def concat(unit: Process) -> Rule:
    """Append the lists of the inputs, one after the other."""
    params = unit.params_of(ConcatParams)
    if params.mode == "pad":
        yield from _concat_padded(unit, params)
    elif params.depth == 0:
        yield from _concat_values(unit, params)
    else:
        yield from _concat_lists(unit, params)


def _shifted(token: Token, offset: int) -> Token:
    return token + offset if offset and token is not MISSING else token


def _concat_values(unit: Process, params: ConcatParams) -> Rule:
    """Append innermost lists: the stops of all inputs meet at the end."""
    inputs = range(len(params.offsets))
    while True:
        stops: list[Token] = []
        for port in inputs:
            while is_element(token := (yield Take(port))):
                yield Emit(0, _shifted(token, params.offsets[port]))
                yield Tick(unit.cost.ii)
            stops.append(token)
        _require_equal(unit, stops, inputs)
        yield Emit(0, stops[0])
        if stops[0] is DONE:
            return
        yield Tick(unit.cost.ii)


def _concat_padded(unit: Process, params: ConcatParams) -> Rule:
    """Append coordinates; where one input supplies them the payloads of the others are missing."""
    count = len(params.offsets)
    inputs = range(count)
    while True:
        stops: list[Token] = []
        for j in inputs:
            while True:
                crd, pay = yield from take_aligned(unit, (2 * j, 2 * j + 1))
                if not is_element(crd):
                    break
                yield Emit(0, _shifted(crd, params.offsets[j]))
                for k in inputs:
                    yield Emit(1 + k, pay if k == j else MISSING)
                yield Tick(unit.cost.ii)
            stops.append(crd)
        _require_equal(unit, stops, range(0, 2 * count, 2))
        yield from emit_all(range(1 + count), stops[0])
        if stops[0] is DONE:
            return
        yield Tick(unit.cost.ii)


def _require_equal(unit: Process, tokens: Sequence[Token], ports: Iterable[int]) -> None:
    if any(token != tokens[0] for token in tokens):
        raise unit.misaligned(*ports)


def _concat_lists(unit: Process, params: ConcatParams) -> Rule:
    """Append lists of lists: the stop of an element waits until the next element is found."""
    depth = params.depth
    while True:
        held: Stop | None = None
        ends: list[Token] = []
        for port, offset in enumerate(params.offsets):
            head = yield Peek(port)
            if head is DONE or _ends_list(head, depth):
                ends.append((yield Take(port)))
                continue
            if held:
                yield Emit(0, Stop(depth - 1, held.e))
                yield Tick(unit.cost.ii)
            held = yield from _pass_elements(unit, port, offset, depth)
            ends.append(Stop(held.n, depth))
        _require_equal(unit, ends, range(len(ends)))
        end = ends[0]
        yield Emit(0, Stop(end.n, held.e) if held else end)
        if end is DONE:
            return
        yield Tick(unit.cost.ii)


def _pass_elements(unit: Process, port: int, offset: int, depth: int) -> Steps[Stop]:
    """Pass all elements of one list but the stop of the last one, which is returned."""
    while True:
        token = yield Take(port)
        if token is DONE:
            raise unit.misaligned(port)
        if isinstance(token, Stop):
            if token.n >= depth:
                return token
            yield Emit(0, token)
        else:
            yield Emit(0, _shifted(token, offset))
        yield Tick(unit.cost.ii)
