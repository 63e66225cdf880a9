# SPDX-License-Identifier: MIT
"""Rules of the units that copy elements along a deeper stream: repsig, repeat, replay, hold."""

from __future__ import annotations

from fuseflow.sim.params import RepeatParams, ReplayParams
from fuseflow.sim.tokens import DONE, Stop, Token
from fuseflow.sim.twin.ops import (
    Discard,
    Emit,
    Peek,
    Rule,
    Steps,
    Take,
    Tick,
    is_element,
    same_mark,
)
from fuseflow.sim.twin.process import Process

__all__ = ["hold", "repeat", "replay", "repsig"]

SIGNAL = 1
"""The value of every element of a signal stream; only its presence counts."""


def repsig(unit: Process) -> Rule:
    """Replace every element by a signal; stops stay."""
    while (token := (yield Take(0))) is not DONE:
        yield Emit(0, SIGNAL if is_element(token) else token)
        yield Tick(unit.cost.ii)
    yield Emit(0, DONE)


def repeat(unit: Process) -> Rule:
    """Emit each outer element once per element of its signal list."""
    lookahead = unit.params_of(RepeatParams).lookahead
    while True:
        outer = yield Peek(0)
        signal = yield Take(1)
        if signal is DONE:
            break
        if isinstance(signal, Stop):
            yield from _close_repeat(unit, outer, signal, lookahead)
            yield Emit(0, signal)
        elif is_element(outer):
            yield Emit(0, outer)
        else:
            raise unit.misaligned(0, 1)
        yield Tick(unit.cost.ii)
    if outer is not DONE:
        raise unit.misaligned(0, 1)
    yield Take(0)
    yield Emit(0, DONE)


def _close_repeat(unit: Process, outer: Token, signal: Stop, lookahead: bool) -> Rule:
    """Retire what a signal stop closes, looking at the outer token behind the element."""
    n, e = signal
    if e:
        if not same_mark(outer, Stop(n - 1, e - 1)):
            raise unit.misaligned(0, 1)
        yield Take(0)
        return
    if not is_element(outer):
        raise unit.misaligned(0, 1)
    yield Take(0)
    if n or lookahead:
        behind = yield Peek(0)
        fits = same_mark(behind, Stop(n - 1)) if n else not isinstance(behind, Stop)
        if not fits:
            raise unit.misaligned(0, 1)
    if n:
        yield Take(0)


def replay(unit: Process) -> Rule:
    """Emit each element, a list of depth k, once per element of its signal list."""
    depth = unit.params_of(ReplayParams).depth
    while (signal := (yield Peek(1))) is not DONE:
        if isinstance(signal, Stop) and signal.e:
            yield from _replay_childless(unit, signal, depth)
        else:
            yield from _replay_element(unit, signal, depth)
    if (yield Take(0)) is not DONE:
        raise unit.misaligned(0, 1)
    yield Take(1)
    yield Emit(0, DONE)


def _replay_childless(unit: Process, signal: Stop, depth: int) -> Rule:
    closing = Stop(signal.n + depth - 1, signal.e + depth - 1)
    if not same_mark((yield Take(0)), closing):
        raise unit.misaligned(0, 1)
    yield Take(1)
    yield Emit(0, Stop(signal.n + depth, signal.e + depth))
    yield Tick(unit.cost.ii)


def _replay_element(unit: Process, signal: Token, depth: int) -> Rule:
    """Read one element, keep it, emit the copies that its signal list asks for."""
    wanted = is_element(signal)
    stored: list[Token] = []
    while not _closes(token := (yield Take(0)), depth - 1):
        if token is DONE:
            raise unit.misaligned(0, 1)
        stored.append(token)
        if wanted:
            yield Emit(0, token)
        yield Tick(unit.cost.ii)
    if token.e >= depth:
        raise unit.misaligned(0, 1)
    copy_end = Stop(depth - 1, token.e)
    while wanted:
        yield Take(1)
        signal = yield Peek(1)
        if not is_element(signal):
            break
        yield Emit(0, copy_end)
        yield Tick(unit.cost.ii)
        for kept in stored:
            yield Emit(0, kept)
            yield Tick(unit.cost.ii)
    if not same_mark(signal, Stop(token.n - depth + 1)):
        raise unit.misaligned(0, 1)
    yield Take(1)
    yield Emit(0, Stop(signal.n + depth, token.e if wanted else depth))
    yield Tick(unit.cost.ii)


def _closes(token: Token, level: int) -> bool:
    """Return whether a token ends a list of this level."""
    return isinstance(token, Stop) and token.n >= level


def hold(unit: Process) -> Rule:
    """Repeat outer coordinates over the inner stream, which passes.

    The outer stop that an inner stop closes is left at the head; the next iteration removes it.
    """
    pending: Stop | None = None
    while True:
        outer = yield Peek(0)
        inner = yield Take(1)
        yield Emit(1, inner)
        if inner is DONE:
            break
        if pending is not None:
            outer = yield from _drop_pending(unit, pending)
            pending = None
        if isinstance(inner, Stop):
            yield Emit(0, inner)
            pending = yield from _close_hold(unit, inner)
        else:
            if not is_element(outer):
                raise unit.misaligned(0, 1)
            yield Emit(0, outer)
        yield Tick(unit.cost.ii)
    yield Emit(0, DONE)
    yield from _discard_rest(unit, pending)


def _drop_pending(unit: Process, pending: Stop) -> Steps[Token]:
    if not same_mark((yield Take(0)), pending):
        raise unit.misaligned(0, 1)
    return (yield Peek(0))


def _close_hold(unit: Process, inner: Stop) -> Steps[Stop | None]:
    """Remove one outer token; return the outer stop that this leaves to be removed."""
    outer = yield Take(0)
    if inner.e:
        if not same_mark(outer, Stop(inner.n - 1, inner.e - 1)):
            raise unit.misaligned(0, 1)
        return None
    if not is_element(outer):
        raise unit.misaligned(0, 1)
    return Stop(inner.n - 1) if inner.n else None


def _discard_rest(unit: Process, pending: Stop | None) -> Rule:
    for expected in (pending, DONE):
        if expected is None:
            continue
        if not same_mark((yield Discard(0)), expected):
            raise unit.misaligned(0, 1)
