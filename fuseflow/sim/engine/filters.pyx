# SPDX-License-Identifier: MIT
"""Removing elements, token by token: drop, mask, valdrop."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.levels cimport rule_a
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_STOP, CTL_VALUE, has, head_ctl, head_int, head_number,
)
from fuseflow.sim.engine.states cimport DropState, MaskState, ValDropState
from fuseflow.sim.engine.unit cimport (
    Unit, finish, flush, has_room, misaligned, peek, stage_ctl, stage_head, stage_int, take, tick,
    wait_token,
)


cdef bint _same_list(uint8_t crd, uint8_t payload) noexcept nogil:
    """Whether a payload token belongs to a coordinate token."""
    return crd == payload or (crd == CTL_VALUE and payload == CTL_MISSING)


cdef enum DropPhase:
    DROP_OUTER  # look at the next outer token
    DROP_LIST  # remove inner tokens of an element
    DROP_LIST_SEND
    DROP_ELEMENT_SEND
    DROP_CHILDLESS  # an outer stop without elements: remove its inner counterpart
    DROP_STOP_SEND
    DROP_END
    DROP_END_SEND


cdef bint step_drop(Unit* u) noexcept nogil:
    """drop (outer, inner, pay* -> the same): remove outer elements with an empty inner list."""
    cdef DropState* s = <DropState*> u.state
    while True:
        if u.phase == DROP_OUTER and not _drop_outer(u, s):
            return False
        if u.phase == DROP_LIST and not _drop_inner(u, s):
            return False
        if (u.phase == DROP_CHILDLESS or u.phase == DROP_END) and not _drop_equal(u):
            return False
        if not flush(u):
            return False
        if u.phase == DROP_LIST_SEND:
            _after_inner(u, s)
            continue
        if u.phase == DROP_END_SEND:
            return finish(u)
        if u.phase == DROP_STOP_SEND:
            s.fresh = True
            s.kept = False
            s.withheld = False
            s.closing = 0
        take(u, 0)
        tick(u, u.ii)
        u.phase = DROP_OUTER


cdef bint _drop_outer(Unit* u, DropState* s) noexcept nogil:
    """Decide by the outer token at the head what comes next; False to wait."""
    if not has_room(u):
        return False
    if not has(u.inputs[0]):
        return wait_token(u, 0)
    peek(u, 0)
    u.ctl = head_ctl(u.inputs[0])
    u.port = 1
    if u.ctl <= CTL_MISSING:
        if s.closing:
            return misaligned(u, 3)
        s.fresh = False
        s.any = False
        u.phase = DROP_LIST
    elif u.ctl == CTL_DONE:
        u.port = 0
        u.phase = DROP_END
    elif s.fresh:
        u.phase = DROP_CHILDLESS
    elif u.ctl != s.closing:
        return misaligned(u, 3)
    else:
        stage_head(u, 0, 0)
        u.phase = DROP_STOP_SEND
    return True


cdef bint _drop_inner(Unit* u, DropState* s) noexcept nogil:
    """Remove an inner token and its payloads and stage what they release; False to wait."""
    cdef int32_t port
    while u.port < u.n_in:
        if not has(u.inputs[u.port]):
            return wait_token(u, u.port)
        if u.port == 1:
            s.token = head_ctl(u.inputs[1])
            if s.token == CTL_DONE or s.token == CTL_MISSING or s.token >> 3 & 7:
                return misaligned(u, 3)
            if s.token == CTL_VALUE and s.withheld:
                for port in range(1, u.n_in):
                    stage_ctl(u, port, CTL_STOP)
        if not _same_list(s.token, head_ctl(u.inputs[u.port])):
            return misaligned(u, 2 | <int64_t> 1 << u.port)
        if s.token == CTL_VALUE:
            stage_head(u, u.port, u.port)
        elif s.token & 7:
            stage_ctl(u, u.port, s.token if s.kept else s.token | 8)
        take(u, u.port)
        u.port += 1
    u.phase = DROP_LIST_SEND
    return True


cdef void _after_inner(Unit* u, DropState* s) noexcept nogil:
    """Go on behind an inner token that was passed, kept back or removed."""
    u.port = 1
    if s.token == CTL_VALUE:
        s.any = True
        s.kept = True
        s.withheld = False
        tick(u, u.inner_cost)
        u.phase = DROP_LIST
        return
    if s.any:
        s.withheld = True
        stage_head(u, 0, 0)
    if s.token & 7:
        s.closing = s.token - 1
    u.phase = DROP_ELEMENT_SEND


cdef bint _drop_equal(Unit* u) noexcept nogil:
    """Remove what all inner streams show at a childless list or at the end; False to wait."""
    cdef uint8_t wanted = CTL_DONE if u.phase == DROP_END else u.ctl + 9
    cdef int32_t port
    while u.port < u.n_in:
        if not has(u.inputs[u.port]):
            return wait_token(u, u.port)
        if head_ctl(u.inputs[u.port]) != wanted:
            return misaligned(u, 1 | <int64_t> 1 << u.port)
        take(u, u.port)
        u.port += 1
    if u.phase == DROP_END:
        for port in range(u.n_in):
            stage_ctl(u, port, wanted)
        u.phase = DROP_END_SEND
        return True
    for port in range(1, u.n_in):
        stage_ctl(u, port, wanted)
    stage_head(u, 0, 0)
    u.phase = DROP_STOP_SEND
    return True


cdef enum MaskPhase:
    MASK_OUTER
    MASK_INNER
    MASK_RETIRE
    MASK_RETIRE_STOP
    MASK_SEND


cdef bint _compare(int32_t op, int64_t a, int64_t b) noexcept nogil:
    """Apply a comparison: lt le eq ne ge gt."""
    if op == 0:
        return a < b
    if op == 1:
        return a <= b
    if op == 2:
        return a == b
    if op == 3:
        return a != b
    return a >= b if op == 4 else a > b


cdef bint step_mask(Unit* u) noexcept nogil:
    """mask (outer, inner, pay* -> inner, pay*): keep what compares with its outer element."""
    cdef MaskState* s = <MaskState*> u.state
    while True:
        if u.phase == MASK_OUTER:
            if not has_room(u):
                return False
            if not has(u.inputs[0]):
                return wait_token(u, 0)
            peek(u, 0)
            u.port = 1
            u.phase = MASK_INNER
        if u.phase == MASK_INNER and not _mask_inner(u, s):
            return False
        if u.phase != MASK_SEND and not _mask_retire(u):
            return False
        u.phase = MASK_SEND
        if not flush(u):
            return False
        if u.ctl == CTL_DONE:
            return finish(u)
        tick(u, u.ii)
        u.phase = MASK_OUTER


cdef bint _mask_inner(Unit* u, MaskState* s) noexcept nogil:
    """Remove an inner token and its payloads and stage them if they stay; False to wait."""
    while u.port < u.n_in:
        if not has(u.inputs[u.port]):
            return wait_token(u, u.port)
        if u.port == 1:
            u.ctl = head_ctl(u.inputs[1])
            if u.ctl == CTL_MISSING or not rule_a(u.ctl, head_ctl(u.inputs[0])):
                return misaligned(u, 3)
            s.kept = u.ctl != CTL_VALUE or _compare(
                s.compare, head_int(u.inputs[0]), head_int(u.inputs[1]))
        if not _same_list(u.ctl, head_ctl(u.inputs[u.port])):
            return misaligned(u, 2 | <int64_t> 1 << u.port)
        if s.kept:
            stage_head(u, u.port - 1, u.port)
        take(u, u.port)
        u.port += 1
    u.phase = MASK_RETIRE
    return True


cdef bint _mask_retire(Unit* u) noexcept nogil:
    """Retire the outer tokens that an inner stop leaves behind; False to wait for one."""
    if u.ctl <= CTL_MISSING:
        return True
    if u.phase == MASK_RETIRE:
        take(u, 0)
        u.phase = MASK_RETIRE_STOP
    if u.ctl == CTL_DONE or u.ctl >> 3 & 7 or not u.ctl & 7:
        return True
    if not has(u.inputs[0]):
        return wait_token(u, 0)
    if head_ctl(u.inputs[0]) != u.ctl - 1:
        return misaligned(u, 3)
    take(u, 0)
    return True


cdef bint step_valdrop(Unit* u) noexcept nogil:
    """valdrop (crd, val -> crd, val): remove entries that hold the fill."""
    cdef ValDropState* s = <ValDropState*> u.state
    cdef uint8_t ctl
    while True:
        if u.phase == 0:
            if not has_room(u):
                return False
            if not has(u.inputs[0]):
                return wait_token(u, 0)
            u.ctl = head_ctl(u.inputs[0])
            s.crd = head_int(u.inputs[0]) if u.ctl == CTL_VALUE else 0
            take(u, 0)
            u.phase = 1
        if u.phase == 1:
            if not has(u.inputs[1]):
                return wait_token(u, 1)
            ctl = head_ctl(u.inputs[1])
            if u.ctl == CTL_MISSING or not _same_list(u.ctl, ctl):
                return misaligned(u, 2)
            if u.ctl != CTL_VALUE:
                stage_ctl(u, 0, u.ctl)
                stage_ctl(u, 1, u.ctl)
            elif ctl == CTL_VALUE and not _holds_fill(u, s):
                stage_int(u, 0, s.crd)
                stage_head(u, 1, 1)
            take(u, 1)
            u.phase = 2
        if not flush(u):
            return False
        if u.ctl == CTL_DONE:
            return finish(u)
        tick(u, u.ii)
        u.phase = 0


cdef bint _holds_fill(Unit* u, ValDropState* s) noexcept nogil:
    cdef const float* value = head_number(u.inputs[1])
    cdef int32_t i
    for i in range(u.inputs[1].width):
        if value[i] != s.fill[i]:
            return False
    return True
