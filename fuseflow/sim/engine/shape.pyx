# SPDX-License-Identifier: MIT
"""Aligning an outer stream with an inner one, token by token: repeat and hold."""

from libc.stdint cimport int64_t, uint8_t

from fuseflow.sim.engine.levels cimport rule_a
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_STOP, has, head_ctl, head_stamp, remove_token,
)
from fuseflow.sim.engine.states cimport HoldState, RepeatState
from fuseflow.sim.engine.unit cimport (
    Unit, finish, flush, has_room, misaligned, peek, stage_ctl, stage_head, take, tick, wait_token,
)


cdef enum RepeatPhase:
    REPEAT_OUTER
    REPEAT_SIGNAL
    REPEAT_LOOK
    REPEAT_SEND


cdef bint step_repeat(Unit* u) noexcept nogil:
    """repeat (in, sig -> out): each outer element once per element of its signal list."""
    cdef RepeatState* s = <RepeatState*> u.state
    if u.phase == REPEAT_OUTER:
        if not has_room(u):
            return False
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        peek(u, 0)
        u.phase = REPEAT_SIGNAL
    if u.phase == REPEAT_SIGNAL and not _repeat_signal(u, s):
        return False
    if u.phase == REPEAT_LOOK and not _repeat_look(u):
        return False
    if not flush(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, u.ii)
    u.phase = REPEAT_OUTER
    return True


cdef bint _repeat_signal(Unit* u, RepeatState* s) noexcept nogil:
    """Remove a signal and do what it asks for; False to wait."""
    if not has(u.inputs[1]):
        return wait_token(u, 1)
    u.ctl = head_ctl(u.inputs[1])
    if not rule_a(u.ctl, head_ctl(u.inputs[0])):
        return misaligned(u, 3)
    take(u, 1)
    u.phase = REPEAT_SEND
    if u.ctl <= CTL_MISSING:
        stage_head(u, 0, 0)
        return True
    stage_ctl(u, 0, u.ctl)
    take(u, 0)
    if u.ctl & CTL_STOP and not u.ctl >> 3 & 7 and (s.lookahead or u.ctl & 7):
        u.phase = REPEAT_LOOK
    return True


cdef bint _repeat_look(Unit* u) noexcept nogil:
    """Look at the outer token after the element: a closing stop is retired with it."""
    if not has(u.inputs[0]):
        return wait_token(u, 0)
    peek(u, 0)
    if u.ctl & 7:
        if head_ctl(u.inputs[0]) != u.ctl - 1:
            return misaligned(u, 3)
        take(u, 0)
    elif head_ctl(u.inputs[0]) & CTL_STOP:
        return misaligned(u, 3)
    u.phase = REPEAT_SEND
    return True


cdef enum HoldPhase:
    HOLD_OUTER
    HOLD_INNER
    HOLD_INNER_SEND
    HOLD_PENDING
    HOLD_LOOK
    HOLD_SEND
    HOLD_REST


cdef bint step_hold(Unit* u) noexcept nogil:
    """hold (outer, inner -> outer, inner): outer coordinates repeated, inner passed on."""
    cdef HoldState* s = <HoldState*> u.state
    while True:
        if u.phase == HOLD_OUTER:
            if not has_room(u):
                return False
            if not has(u.inputs[0]):
                return wait_token(u, 0)
            peek(u, 0)
            u.phase = HOLD_INNER
        if u.phase == HOLD_INNER:
            if not has(u.inputs[1]):
                return wait_token(u, 1)
            u.ctl = head_ctl(u.inputs[1])
            stage_head(u, 1, 1)
            take(u, 1)
            u.phase = HOLD_INNER_SEND
        if not flush(u):
            return False
        if u.phase == HOLD_REST:
            return _hold_rest(u, s)
        if u.phase == HOLD_INNER_SEND:
            u.phase = HOLD_PENDING
        if u.phase != HOLD_SEND and not _hold_outer(u, s):
            return False
        if not flush(u):
            return False
        if u.ctl == CTL_DONE:
            u.phase = HOLD_REST
            continue
        if u.ctl & CTL_STOP:
            take(u, 0)
            s.pending = u.ctl - 1 if u.ctl & 7 and not u.ctl >> 3 & 7 else 0
        tick(u, u.ii)
        u.phase = HOLD_OUTER


cdef bint _hold_outer(Unit* u, HoldState* s) noexcept nogil:
    """Retire a pending outer stop and stage what the inner token holds; False to wait."""
    if u.phase == HOLD_PENDING and s.pending and u.ctl != CTL_DONE:
        if head_ctl(u.inputs[0]) != s.pending:
            return misaligned(u, 3)
        take(u, 0)
        s.pending = 0
        u.phase = HOLD_LOOK
    if u.phase == HOLD_LOOK:
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        peek(u, 0)
    u.phase = HOLD_SEND
    if u.ctl != CTL_DONE and not rule_a(u.ctl, head_ctl(u.inputs[0])):
        return misaligned(u, 3)
    if u.ctl <= CTL_MISSING:
        stage_head(u, 0, 0)
    else:
        stage_ctl(u, 0, u.ctl)
    return True


cdef int _hold_rest(Unit* u, HoldState* s) noexcept nogil:
    """At the end retire what is left of the outer stream without moving the clock."""
    cdef uint8_t ctl
    cdef int64_t stamp
    while True:
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        ctl = head_ctl(u.inputs[0])
        if ctl != CTL_DONE and ctl != s.pending:
            return misaligned(u, 3)
        stamp = head_stamp(u.inputs[0])
        remove_token(u.inputs[0], stamp if stamp > u.clock else u.clock)
        s.pending = 0
        if ctl == CTL_DONE:
            return finish(u)
