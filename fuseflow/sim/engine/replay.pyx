# SPDX-License-Identifier: MIT
"""replay, token by token: whole lists are kept and sent once per element of the signal."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.pool cimport pool_resize
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_STOP, CTL_VALUE, Chan, has, head_ctl, head_int, head_number,
)
from fuseflow.sim.engine.states cimport ReplayState
from fuseflow.sim.engine.unit cimport (
    Unit, finish, flush, has_room, misaligned, peek, stage_ctl, stage_head, stage_int,
    stage_number, take, tick, wait_token,
)


cdef enum ReplayPhase:
    REPLAY_SIGNAL  # look at the signal
    REPLAY_FIRST  # read the element, send it on
    REPLAY_FIRST_SEND
    REPLAY_NEXT  # one copy is complete: another one, or the end
    REPLAY_LOOK
    REPLAY_COPY  # send a stored token
    REPLAY_COPY_SEND
    REPLAY_CLOSE  # the signal's stop ends the last copy
    REPLAY_CHILDLESS
    REPLAY_END
    REPLAY_STOP_SEND
    REPLAY_DONE_SEND


cdef bint step_replay(Unit* u) noexcept nogil:
    """replay (in, sig -> out): elements are `depth`-deep lists."""
    cdef ReplayState* s = <ReplayState*> u.state
    while True:
        if u.phase == REPLAY_SIGNAL and not _look_at_signal(u, s):
            return False
        if u.phase == REPLAY_FIRST and not _store_token(u, s):
            return False
        if (u.phase == REPLAY_NEXT or u.phase == REPLAY_LOOK) and not _next_copy(u, s):
            return False
        if u.phase == REPLAY_COPY:
            if not has_room(u):
                return False
            _stage_stored(u, s)
        if u.phase == REPLAY_CLOSE and not _close_element(u, s):
            return False
        if u.phase == REPLAY_CHILDLESS and not _pass_childless(u, s):
            return False
        if u.phase == REPLAY_END and not _end_replay(u):
            return False
        if not flush(u):
            return False
        if u.phase == REPLAY_DONE_SEND:
            return finish(u)
        tick(u, u.ii)
        if u.phase == REPLAY_FIRST_SEND:
            u.phase = REPLAY_FIRST
        elif u.phase == REPLAY_COPY_SEND:
            u.phase = REPLAY_COPY if s.at < s.count else REPLAY_NEXT
        else:
            u.phase = REPLAY_SIGNAL


cdef bint _look_at_signal(Unit* u, ReplayState* s) noexcept nogil:
    """Decide by the signal at the head what comes next; False to wait."""
    cdef uint8_t ctl
    if not has_room(u):
        return False
    if not has(u.inputs[1]):
        return wait_token(u, 1)
    peek(u, 1)
    ctl = head_ctl(u.inputs[1])
    s.count = 0
    s.wanted = ctl <= CTL_MISSING
    if ctl == CTL_DONE:
        u.phase = REPLAY_END
    elif ctl & CTL_STOP and ctl >> 3 & 7:
        u.phase = REPLAY_CHILDLESS
    else:
        u.phase = REPLAY_FIRST
    return True


cdef bint _store_token(Unit* u, ReplayState* s) noexcept nogil:
    """Read one token of the element and keep it; False to wait."""
    cdef uint8_t ctl
    if not has_room(u):
        return False
    if not has(u.inputs[0]):
        return wait_token(u, 0)
    ctl = head_ctl(u.inputs[0])
    if ctl == CTL_DONE:
        return misaligned(u, 3)
    if ctl & CTL_STOP and (ctl & 7) >= s.depth - 1:
        if (ctl >> 3 & 7) >= s.depth:
            return misaligned(u, 3)
        s.end = ctl
        take(u, 0)
        u.phase = REPLAY_NEXT if s.wanted else REPLAY_CLOSE
        return True
    if not _keep(u, s, ctl):
        return False
    if s.wanted:
        stage_head(u, 0, 0)
    take(u, 0)
    u.phase = REPLAY_FIRST_SEND
    return True


cdef bint _keep(Unit* u, ReplayState* s, uint8_t ctl) noexcept nogil:
    """Append the head of the input to the store; False and a fault if there is no memory."""
    cdef Chan* c = u.inputs[0]
    cdef int64_t room = 2 * s.room if s.room else 64
    if s.count == s.room:
        s.ctl = <uint8_t*> pool_resize(u.pool, s.ctl, room)
        s.ints = <int64_t*> pool_resize(u.pool, s.ints, room * sizeof(int64_t))
        s.numbers = <float*> pool_resize(u.pool, s.numbers, (room * c.width + 1) * sizeof(float))
        if s.ctl is NULL or s.ints is NULL or s.numbers is NULL:
            return False
        s.room = room
    s.ctl[s.count] = ctl
    if ctl == CTL_VALUE and c.width:
        memcpy(s.numbers + s.count * c.width, head_number(c), c.width * sizeof(float))
    elif ctl == CTL_VALUE:
        s.ints[s.count] = head_int(c)
    s.count += 1
    return True


cdef bint _next_copy(Unit* u, ReplayState* s) noexcept nogil:
    """Retire the signal of a copy; if another one follows, end this copy. False to wait."""
    if u.phase == REPLAY_NEXT:
        take(u, 1)
        u.phase = REPLAY_LOOK
    if not has(u.inputs[1]):
        return wait_token(u, 1)
    peek(u, 1)
    if head_ctl(u.inputs[1]) > CTL_MISSING:
        u.phase = REPLAY_CLOSE
        return True
    stage_ctl(u, 0, CTL_STOP | (s.end & 0x38) | (s.depth - 1))
    s.at = 0
    u.phase = REPLAY_COPY_SEND
    return True


cdef void _stage_stored(Unit* u, ReplayState* s) noexcept nogil:
    if s.ctl[s.at] != CTL_VALUE:
        stage_ctl(u, 0, s.ctl[s.at])
    elif u.inputs[0].width:
        stage_number(u, 0, s.numbers + s.at * u.inputs[0].width, 1)
    else:
        stage_int(u, 0, s.ints[s.at])
    s.at += 1
    u.phase = REPLAY_COPY_SEND


cdef bint _close_element(Unit* u, ReplayState* s) noexcept nogil:
    """Merge the stop of the signal with that of the element; False and a fault if they differ."""
    cdef uint8_t signal = head_ctl(u.inputs[1])
    cdef uint8_t empty = s.end >> 3 & 7 if s.wanted else s.depth
    if signal != CTL_STOP | ((s.end & 7) - s.depth + 1):
        return misaligned(u, 3)
    take(u, 1)
    stage_ctl(u, 0, CTL_STOP | empty << 3 | ((signal & 7) + s.depth))
    u.phase = REPLAY_STOP_SEND
    return True


cdef bint _pass_childless(Unit* u, ReplayState* s) noexcept nogil:
    """Pass on the stop of a list without elements, deeper by the depth; False to wait."""
    cdef uint8_t signal = head_ctl(u.inputs[1])
    if not has(u.inputs[0]):
        return wait_token(u, 0)
    if head_ctl(u.inputs[0]) != signal + 9 * (s.depth - 1):
        return misaligned(u, 3)
    take(u, 0)
    take(u, 1)
    stage_ctl(u, 0, signal + 9 * s.depth)
    u.phase = REPLAY_STOP_SEND
    return True


cdef bint _end_replay(Unit* u) noexcept nogil:
    if not has(u.inputs[0]):
        return wait_token(u, 0)
    if head_ctl(u.inputs[0]) != CTL_DONE:
        return misaligned(u, 3)
    take(u, 0)
    take(u, 1)
    stage_ctl(u, 0, CTL_DONE)
    u.phase = REPLAY_DONE_SEND
    return True
