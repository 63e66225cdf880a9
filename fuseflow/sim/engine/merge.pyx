# SPDX-License-Identifier: MIT
"""Merging coordinate lists, token by token: join."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.pool cimport FAULT_SCRAMBLED
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_VALUE, has, head_ctl, head_int,
)
from fuseflow.sim.engine.states cimport JoinState
from fuseflow.sim.engine.unit cimport (
    Unit, fault, finish, flush, has_room, misaligned, peek, stage_ctl, stage_head, take, tick,
    wait_token,
)


cdef bint step_join(Unit* u) noexcept nogil:
    """join: one distinct coordinate of the inputs per iteration, kept or not."""
    cdef JoinState* s = <JoinState*> u.state
    if u.phase == JOIN_PEEK:
        if not has_room(u) or not _peek_inputs(u, s) or not _join_heads(u, s):
            return False
        if s.kept:
            _stage_joined_crd(u, s)
        u.phase = JOIN_CRD
    if u.phase == JOIN_CRD:
        if not flush(u):
            return False
        u.port = 0
        u.phase = JOIN_INPUT
    while u.port < s.arity:
        if u.phase == JOIN_INPUT:
            if s.kept:
                _stage_payloads(u, s, u.port)
            u.phase = JOIN_SEND
        if not flush(u):
            return False
        if s.mask >> u.port & 1:
            _retire(u, s, u.port)
        u.port += 1
        u.phase = JOIN_INPUT
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, u.ii)
    u.phase = JOIN_PEEK
    return True


cdef bint _peek_all(Unit* u) noexcept nogil:
    """Let the clock reach the heads of all inputs; False to wait for one."""
    cdef int32_t port
    for port in range(u.n_in):
        if not has(u.inputs[port]):
            return wait_token(u, port)
        peek(u, port)
    return True


cdef bint _peek_inputs(Unit* u, JoinState* s) noexcept nogil:
    """Let the clock reach all coordinates, then all payloads; False to wait for one."""
    cdef int32_t j
    for j in range(s.arity):
        if not has(u.inputs[s.first[j]]):
            return wait_token(u, s.first[j])
        peek(u, s.first[j])
    return _peek_all(u)


cdef bint _join_heads(Unit* u, JoinState* s) noexcept nogil:
    """Find the smallest coordinate and who has it; all inputs at a stop: that stop."""
    cdef int32_t j
    cdef uint8_t ctl
    cdef int64_t crd, least = -1
    s.mask = 0
    u.ctl = head_ctl(u.inputs[s.first[0]])
    for j in range(s.arity):
        if not _check_payloads(u, s, j):
            return False
        ctl = head_ctl(u.inputs[s.first[j]])
        if ctl == CTL_VALUE:
            crd = head_int(u.inputs[s.first[j]])
            if crd <= s.last[j]:
                return fault(u, FAULT_SCRAMBLED, s.last[j], crd)
            if least < 0 or crd < least:
                least = crd
                s.mask = 0
            if crd == least:
                s.mask |= <int64_t> 1 << j
        elif ctl == CTL_MISSING:
            return misaligned(u, <int64_t> 1 << s.first[j])
    if least >= 0:
        u.ctl = CTL_VALUE
        s.kept = s.keep[s.mask]
        return True
    s.kept = True
    s.mask = (<int64_t> 1 << s.arity) - 1
    return _equal_stops(u, s)


cdef bint _check_payloads(Unit* u, JoinState* s, int32_t j) noexcept nogil:
    """Rule Z between the coordinates of input j and its payloads."""
    cdef uint8_t ctl = head_ctl(u.inputs[s.first[j]])
    cdef uint8_t other
    cdef int32_t port
    for port in range(s.first[j] + 1, s.first[j] + 1 + s.payloads[j]):
        other = head_ctl(u.inputs[port])
        if other != ctl and not (ctl == CTL_VALUE and other == CTL_MISSING):
            return misaligned(u, <int64_t> 1 << s.first[j] | <int64_t> 1 << port)
    return True


cdef bint _equal_stops(Unit* u, JoinState* s) noexcept nogil:
    cdef int32_t j
    for j in range(1, s.arity):
        if head_ctl(u.inputs[s.first[j]]) != u.ctl:
            return misaligned(u, <int64_t> 1 << s.first[0] | <int64_t> 1 << s.first[j])
    return True


cdef void _stage_joined_crd(Unit* u, JoinState* s) noexcept nogil:
    cdef int32_t j
    for j in range(s.arity):
        if s.mask >> j & 1:
            stage_head(u, 0, s.first[j])
            return


cdef void _stage_payloads(Unit* u, JoinState* s, int32_t j) noexcept nogil:
    """Stage the payloads of input j; they stand one output behind their input per crd before."""
    cdef int32_t port
    for port in range(s.first[j] + 1, s.first[j] + 1 + s.payloads[j]):
        if s.mask >> j & 1:
            stage_head(u, port - j, port)
        else:
            stage_ctl(u, port - j, CTL_MISSING)


cdef void _retire(Unit* u, JoinState* s, int32_t j) noexcept nogil:
    cdef int32_t port
    s.last[j] = head_int(u.inputs[s.first[j]]) if u.ctl == CTL_VALUE else -1
    for port in range(s.first[j], s.first[j] + 1 + s.payloads[j]):
        take(u, port)
