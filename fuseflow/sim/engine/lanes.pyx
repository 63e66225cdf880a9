# SPDX-License-Identifier: MIT
"""Lanes and appended lists, token by token: fork, gather, concat."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_STOP, CTL_VALUE, Chan, has, head_ctl, head_int,
)
from fuseflow.sim.engine.states cimport ConcatState, GatherState
from fuseflow.sim.engine.unit cimport (
    Unit, finish, flush, has_room, misaligned, peek, stage_ctl, stage_head, stage_int, take, tick,
    wait_token,
)


cdef bint step_fork(Unit* u) noexcept nogil:
    """fork (in -> out_0 .. out_{P-1}, sel): deal the elements of each innermost list in turn."""
    cdef int32_t lanes = u.n_out - 1
    cdef int32_t k
    while True:
        if u.phase == 0:
            if not has_room(u):
                return False
            if not has(u.inputs[0]):
                return wait_token(u, 0)
            u.ctl = head_ctl(u.inputs[0])
            if u.ctl <= CTL_MISSING:
                stage_head(u, u.port, 0)
                stage_int(u, lanes, u.port)
                u.port = (u.port + 1) % lanes
            else:
                for k in range(u.n_out):
                    stage_ctl(u, k, u.ctl)
                u.port = 0
            take(u, 0)
            u.phase = 1
        if not flush(u):
            return False
        if u.ctl == CTL_DONE:
            tick(u, u.done_cost)
            return finish(u)
        tick(u, u.ii)
        u.phase = 0


cdef bint _ends_list(uint8_t ctl, int32_t depth) noexcept nogil:
    """Whether the head of a lane says that a list of `depth`-deep elements has no more."""
    return ctl & CTL_STOP and (depth == 0 or (ctl >> 3 & 7) >= depth)


cdef enum GatherPhase:
    GATHER_CHOOSE
    GATHER_ELEMENT
    GATHER_ELEMENT_SEND
    GATHER_LEVEL  # is there an element behind the one that ended?
    GATHER_REST  # the list ends: remove the stops of lanes without a last element
    GATHER_STOP  # a list without elements ends
    GATHER_STOP_SEND
    GATHER_DONE
    GATHER_DONE_SEND


cdef bint step_gather(Unit* u) noexcept nogil:
    """gather (in_0 .. in_{P-1}, sel? -> out): collect elements in turn or as selected."""
    cdef GatherState* s = <GatherState*> u.state
    while True:
        if u.phase == GATHER_CHOOSE and not _choose_lane(u, s):
            return False
        if u.phase == GATHER_ELEMENT and not _gather_token(u, s):
            return False
        if u.phase == GATHER_LEVEL and not _look_behind(u, s):
            return False
        if u.phase == GATHER_REST and not _close_lanes(u, s):
            return False
        if u.phase == GATHER_STOP and not _take_equal(u, s):
            return False
        if u.phase == GATHER_DONE and not _take_ends(u, s):
            return False
        if not flush(u):
            return False
        if u.phase == GATHER_DONE_SEND:
            return finish(u)
        tick(u, u.ii)
        if u.phase == GATHER_ELEMENT_SEND and s.depth:
            u.phase = GATHER_ELEMENT
        else:
            if u.phase == GATHER_ELEMENT_SEND:
                s.lane = (s.lane + 1) % s.lanes
            u.phase = GATHER_CHOOSE


cdef bint _choose_lane(Unit* u, GatherState* s) noexcept nogil:
    """Find the lane of the next element, or what ends the list; False to wait."""
    cdef int32_t port = s.lane if s.sel < 0 else s.sel
    cdef uint8_t ctl
    if not has_room(u):
        return False
    if not has(u.inputs[port]):
        return wait_token(u, port)
    ctl = head_ctl(u.inputs[port])
    u.port = 0
    peek(u, port)
    if ctl == CTL_DONE:
        u.phase = GATHER_DONE
        s.level = 0
    elif s.sel < 0:
        u.phase = GATHER_STOP if _ends_list(ctl, s.depth) else GATHER_ELEMENT
        u.ctl = ctl
    elif ctl & CTL_STOP:
        u.phase = GATHER_STOP
        u.ctl = ctl + 9 * s.depth
    else:
        u.phase = GATHER_ELEMENT
        s.lane = <int32_t> head_int(u.inputs[port])
        if ctl == CTL_MISSING or not 0 <= s.lane < s.lanes:
            return misaligned(u, <int64_t> 1 << port)
    if s.sel >= 0:
        take(u, port)
    return True


cdef bint _gather_token(Unit* u, GatherState* s) noexcept nogil:
    """Remove one token of the element; its closing stop is kept back. False to wait."""
    cdef Chan* c = u.inputs[s.lane]
    cdef uint8_t ctl
    if not has_room(u):
        return False
    if not has(c):
        return wait_token(u, s.lane)
    ctl = head_ctl(c)
    if ctl == CTL_DONE or _ends_list(ctl, s.depth):
        return misaligned(u, (<int64_t> 1 << u.n_in) - 1)
    if ctl & CTL_STOP and (ctl & 7) >= s.depth - 1:
        s.closing = ctl
        if (ctl & 7) >= s.depth:
            s.closed[s.lane] = ctl & 7
        u.phase = GATHER_LEVEL
    else:
        stage_head(u, 0, s.lane)
        u.phase = GATHER_ELEMENT_SEND
    take(u, s.lane)
    return True


cdef bint _look_behind(Unit* u, GatherState* s) noexcept nogil:
    """Find out whether the element that ended is the last of its list; False to wait."""
    cdef int32_t following = (s.lane + 1) % s.lanes
    cdef bint ended = False
    s.level = -1
    if s.sel >= 0:
        if not has(u.inputs[s.sel]):
            return wait_token(u, s.sel)
        peek(u, s.sel)
        if head_ctl(u.inputs[s.sel]) & CTL_STOP:
            s.level = (head_ctl(u.inputs[s.sel]) & 7) + s.depth
            take(u, s.sel)
    elif s.closed[s.lane] >= 0:
        ended = s.closed[following] >= 0
        if not ended:
            if not has(u.inputs[following]):
                return wait_token(u, following)
            peek(u, following)
            ended = _ends_list(head_ctl(u.inputs[following]), s.depth)
        if ended:
            s.level = s.closing & 7
    if s.level < 0:
        stage_ctl(u, 0, CTL_STOP | (s.closing & 0x38) | (s.depth - 1))
        s.lane = following
        u.phase = GATHER_STOP_SEND
    else:
        u.port = 0
        u.phase = GATHER_REST
    return True


cdef bint _close_lanes(Unit* u, GatherState* s) noexcept nogil:
    """Remove the stops of lanes without a last element, then stage the list's; False to wait."""
    while u.port < s.lanes:
        if s.closed[u.port] < 0:
            if not has(u.inputs[u.port]):
                return wait_token(u, u.port)
            if head_ctl(u.inputs[u.port]) != (CTL_STOP | s.depth << 3 | s.level):
                return misaligned(u, (<int64_t> 1 << s.lanes) - 1)
            take(u, u.port)
        elif s.closed[u.port] != s.level:
            return misaligned(u, (<int64_t> 1 << s.lanes) - 1)
        u.port += 1
    for u.port in range(s.lanes):
        s.closed[u.port] = -1
    stage_ctl(u, 0, CTL_STOP | (s.closing & 0x38) | s.level)
    s.lane = 0
    u.phase = GATHER_STOP_SEND
    return True


cdef bint _take_equal(Unit* u, GatherState* s) noexcept nogil:
    """Remove the same stop from all lanes and stage it; False to wait."""
    while u.port < s.lanes:
        if not has(u.inputs[u.port]):
            return wait_token(u, u.port)
        if head_ctl(u.inputs[u.port]) != u.ctl:
            return misaligned(u, (<int64_t> 1 << u.n_in) - 1)
        take(u, u.port)
        u.port += 1
    stage_ctl(u, 0, u.ctl)
    s.lane = 0
    u.phase = GATHER_STOP_SEND
    return True


cdef bint _take_ends(Unit* u, GatherState* s) noexcept nogil:
    """Remove the ends of all lanes, a cycle apart as far as the cost says; False to wait."""
    while u.port < s.lanes:
        if 0 < u.port <= u.done_cost and not s.level:
            tick(u, 1)
            s.level = 1
        if not has(u.inputs[u.port]):
            return wait_token(u, u.port)
        if head_ctl(u.inputs[u.port]) != CTL_DONE:
            return misaligned(u, <int64_t> 1 << u.port)
        take(u, u.port)
        s.level = 0
        u.port += 1
    stage_ctl(u, 0, CTL_DONE)
    u.phase = GATHER_DONE_SEND
    return True


cdef enum ConcatPhase:
    CONCAT_TAKE
    CONCAT_PAYLOAD
    CONCAT_SEND
    CONCAT_HELD_SEND
    CONCAT_INSIDE
    CONCAT_END_SEND


cdef bint _note_end(Unit* u, ConcatState* s, int32_t j, uint8_t ctl) noexcept nogil:
    """All inputs must end a list with the same token; False and a fault if they do not."""
    if j and ctl != s.end:
        return misaligned(u, (<int64_t> 1 << u.n_in) - 1)
    s.end = ctl
    return True


cdef void _stage_shifted(Unit* u, ConcatState* s, int32_t j) noexcept nogil:
    """Stage the head of input j, a coordinate moved by the offset of that input."""
    if head_ctl(u.inputs[j]) == CTL_VALUE and s.offsets[j] and not u.inputs[j].width:
        stage_int(u, 0, head_int(u.inputs[j]) + s.offsets[j])
    else:
        stage_head(u, 0, j)


cdef bint step_concat_values(Unit* u) noexcept nogil:
    """concat of innermost lists (in_0 .. -> out): the stops of all inputs meet at the end."""
    cdef ConcatState* s = <ConcatState*> u.state
    cdef uint8_t ctl
    while True:
        while u.phase == CONCAT_TAKE:
            if not has_room(u):
                return False
            if not has(u.inputs[u.port]):
                return wait_token(u, u.port)
            ctl = head_ctl(u.inputs[u.port])
            if ctl <= CTL_MISSING:
                _stage_shifted(u, s, u.port)
                take(u, u.port)
                u.phase = CONCAT_SEND
                break
            if not _note_end(u, s, u.port, ctl):
                return False
            take(u, u.port)
            u.port += 1
            if u.port == s.count:
                stage_ctl(u, 0, ctl)
                u.port = 0
                u.phase = CONCAT_END_SEND
        if not flush(u):
            return False
        if u.phase == CONCAT_END_SEND and s.end == CTL_DONE:
            return finish(u)
        tick(u, u.ii)
        u.phase = CONCAT_TAKE


cdef bint step_concat_padded(Unit* u) noexcept nogil:
    """concat of keyed lists (crd_0, pay_0, .. -> crd, pay_0, ..): foreign payloads are missing."""
    cdef ConcatState* s = <ConcatState*> u.state
    cdef int32_t k
    while True:
        while u.phase == CONCAT_TAKE or u.phase == CONCAT_PAYLOAD:
            if not _take_pair(u, s):
                return False
        if not flush(u):
            return False
        if u.phase == CONCAT_END_SEND and s.end == CTL_DONE:
            return finish(u)
        tick(u, u.ii)
        u.phase = CONCAT_TAKE


cdef bint _take_pair(Unit* u, ConcatState* s) noexcept nogil:
    """Remove a coordinate with its payload and stage the row; False to wait."""
    cdef int32_t j = u.port, k
    cdef uint8_t ctl
    if u.phase == CONCAT_TAKE:
        if not has_room(u):
            return False
        if not has(u.inputs[2 * j]):
            return wait_token(u, 2 * j)
        u.ctl = head_ctl(u.inputs[2 * j])
        s.crd = head_int(u.inputs[2 * j]) if u.ctl == CTL_VALUE else 0
        take(u, 2 * j)
        u.phase = CONCAT_PAYLOAD
    if not has(u.inputs[2 * j + 1]):
        return wait_token(u, 2 * j + 1)
    ctl = head_ctl(u.inputs[2 * j + 1])
    if u.ctl == CTL_MISSING or (ctl != u.ctl and not (u.ctl == CTL_VALUE and ctl == CTL_MISSING)):
        return misaligned(u, <int64_t> 2 << 2 * j)
    if u.ctl == CTL_VALUE:
        stage_int(u, 0, s.crd + s.offsets[j])
        for k in range(s.count):
            if k == j:
                stage_head(u, 1 + k, 2 * j + 1)
            else:
                stage_ctl(u, 1 + k, CTL_MISSING)
        u.phase = CONCAT_SEND
    else:
        if not _note_end(u, s, j, u.ctl):
            return False
        u.port += 1
        u.phase = CONCAT_TAKE
        if u.port == s.count:
            for k in range(u.n_out):
                stage_ctl(u, k, u.ctl)
            u.port = 0
            u.phase = CONCAT_END_SEND
    take(u, 2 * j + 1)
    return True


cdef bint step_concat_lists(Unit* u) noexcept nogil:
    """concat of lists of lists (in_0 .. -> out): an element's stop waits for the next element."""
    cdef ConcatState* s = <ConcatState*> u.state
    while True:
        while u.phase == CONCAT_TAKE:
            if not _enter_list(u, s):
                return False
        if u.phase == CONCAT_INSIDE and not _pass_token(u, s):
            return False
        if u.phase == CONCAT_TAKE:
            continue
        if not flush(u):
            return False
        if u.phase == CONCAT_END_SEND and s.end == CTL_DONE:
            return finish(u)
        tick(u, u.ii)
        if u.phase == CONCAT_END_SEND:
            u.phase = CONCAT_TAKE
        else:
            u.phase = CONCAT_INSIDE


cdef bint _enter_list(Unit* u, ConcatState* s) noexcept nogil:
    """Look at the list of the input in turn; behind the last input end the list; False to wait."""
    cdef uint8_t ctl
    if not has_room(u):
        return False
    if u.port == s.count:
        ctl = s.end
        if s.held:
            ctl = CTL_STOP | (s.held & 0x38) | (s.end & 7)
        stage_ctl(u, 0, ctl)
        s.held = 0
        u.port = 0
        u.phase = CONCAT_END_SEND
        return True
    if not has(u.inputs[u.port]):
        return wait_token(u, u.port)
    peek(u, u.port)
    ctl = head_ctl(u.inputs[u.port])
    if ctl == CTL_DONE or _ends_list(ctl, s.depth):
        if not _note_end(u, s, u.port, ctl):
            return False
        take(u, u.port)
        u.port += 1
        return True
    u.phase = CONCAT_INSIDE
    if s.held:
        stage_ctl(u, 0, CTL_STOP | (s.held & 0x38) | (s.depth - 1))
        s.held = 0
        u.phase = CONCAT_HELD_SEND
    return True


cdef bint _pass_token(Unit* u, ConcatState* s) noexcept nogil:
    """Pass one token of the list of the input in turn, or keep back its end; False to wait."""
    cdef uint8_t ctl
    if not has_room(u):
        return False
    if not has(u.inputs[u.port]):
        return wait_token(u, u.port)
    ctl = head_ctl(u.inputs[u.port])
    if ctl == CTL_DONE:
        return misaligned(u, <int64_t> 1 << u.port)
    if ctl & CTL_STOP and (ctl & 7) >= s.depth:
        s.held = ctl
        if not _note_end(u, s, u.port, CTL_STOP | s.depth << 3 | (ctl & 7)):
            return False
        take(u, u.port)
        u.port += 1
        u.phase = CONCAT_TAKE
        return True
    _stage_shifted(u, s, u.port)
    take(u, u.port)
    u.phase = CONCAT_SEND
    return True
