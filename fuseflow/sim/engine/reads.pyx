# SPDX-License-Identifier: MIT
"""Reading stored arrays through memory: scan and array, by lines that a front end reads ahead.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.levels cimport enter_fiber
from fuseflow.sim.engine.lines cimport (
    WORD, Ahead, Line, Taken, advance, metadata_ready, serve_taken, use_line,
)
from fuseflow.sim.engine.memory cimport UNANSWERED
from fuseflow.sim.engine.pool cimport FAULT_OUT_OF_RANGE_REF
from fuseflow.sim.engine.reading cimport (
    CLOSE, FIBER, LOOK, METADATA, NEXT, SEND, stage_both, stage_pair,
)
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_STOP, CTL_VALUE, put_ctl, put_number,
)
from fuseflow.sim.engine.runs cimport Times, send_ints, send_range
from fuseflow.sim.engine.states cimport ArrayState, ScanState
from fuseflow.sim.engine.unit cimport (
    Unit, fault, finish, flush, has_room, misaligned, reach_memory, stage_ctl, stage_number, tick,
    wait_memory, wait_token, wait_until,
)


cdef inline Taken* _head(Ahead* a) noexcept nogil:
    return &a.tokens[a.removed & a.mask]


cdef inline bint _has_token(Unit* u, Ahead* a) noexcept nogil:
    return a.removed < a.taken or wait_token(u, 0)


cdef inline void _remove(Unit* u, Ahead* a) noexcept nogil:
    wait_until(u, 0, _head(a).front)
    a.removed += 1


cdef bint _reach_line(Unit* u, Ahead* a, int32_t reader, int64_t address) noexcept nogil:
    """Use a word; False to wait for its line."""
    cdef Line* line = use_line(&a.readers[reader], address)
    if line is NULL:
        return wait_memory(u)
    reach_memory(u, line.response)
    line.used += 1
    line.last_use = u.clock
    return True


cdef void run_scan_ahead(Unit* u) noexcept nogil:
    """scan (ref -> crd, ref): coordinates leave as their lines arrive."""
    cdef Ahead* a = <Ahead*> u.access
    cdef bint moved = True
    while moved:
        moved = advance(u, a)
        while _step_scan_ahead(u, a):
            moved = True


cdef bint _step_scan_ahead(Unit* u, Ahead* a) noexcept nogil:
    cdef ScanState* s = <ScanState*> u.state
    cdef int32_t reader = a.n_readers - 1
    cdef int64_t ready
    if u.finished:
        return False
    if u.phase == NEXT and not _next_taken(u, s, a):
        return False
    if u.phase == METADATA:
        ready = metadata_ready(a, a.removed - 1)
        if ready == UNANSWERED:
            return wait_memory(u)
        reach_memory(u, ready)
        u.phase = FIBER
    if u.phase == FIBER:
        if s.at == s.end:
            u.phase = LOOK
        elif not has_room(u):
            return False
        elif a.direct:
            return _send_line(u, s, a, reader)
        elif not _reach_line(u, a, reader, a.readers[reader].client.base + WORD * s.at):
            return False
        else:
            stage_pair(u, s)
            u.phase = SEND
    if u.phase == LOOK and not _look_ahead(u, a):
        return False
    if not flush(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, u.ii)
    if u.phase == SEND:
        u.phase = FIBER
        return True
    serve_taken(a, u.clock)
    u.phase = NEXT
    return True


cdef bint _send_line(Unit* u, ScanState* s, Ahead* a, int32_t reader) noexcept nogil:
    """Send what lies in one line as a run; False to wait for the line."""
    cdef int64_t address = a.readers[reader].client.base + WORD * s.at
    cdef Line* line = use_line(&a.readers[reader], address)
    cdef int64_t n
    cdef Times t
    if line is NULL:
        return wait_memory(u)
    reach_memory(u, line.response)
    n = (line.start + a.readers[reader].client.memory.dram.line.size - address) // WORD
    n = min(n, s.end - s.at)
    t.explicit = False
    t.strict = False
    t.private = False
    t.stamps = NULL
    t.block = NULL
    t.first = u.clock
    t.slope = u.ii
    send_ints(u.outputs[0], s.coordinates + s.at, NULL, n, &t)
    if u.n_out > 1:
        send_range(u.outputs[1], s.at, 1, n, &t)
    line.used += n
    line.last_use = u.clock + (n - 1) * u.ii
    tick(u, n * u.ii)
    s.at += n
    return True


cdef inline void _close_both(Unit* u, Ahead* a, uint8_t ctl) noexcept nogil:
    """Send a control token on all outputs, at once where there is always room."""
    cdef int32_t k
    if not a.direct:
        stage_both(u, ctl)
        return
    for k in range(u.n_out):
        if u.outputs[k] is not NULL:
            put_ctl(u.outputs[k], ctl, u.clock + 1)


cdef bint _next_taken(Unit* u, ScanState* s, Ahead* a) noexcept nogil:
    cdef Taken* t = _head(a)
    if not has_room(u) or not _has_token(u, a):
        return False
    u.ctl = t.ctl
    if u.ctl == CTL_VALUE and not enter_fiber(u, s, t.value):
        return False
    _remove(u, a)
    u.phase = METADATA
    if u.ctl == CTL_MISSING:
        s.at = 0
        s.end = 0
    elif u.ctl != CTL_VALUE:
        _close_both(u, a, u.ctl if u.ctl == CTL_DONE else u.ctl + 9)
        u.phase = CLOSE
    return True


cdef bint _look_ahead(Unit* u, Ahead* a) noexcept nogil:
    """Choose the stop of the fiber by the token behind its reference."""
    cdef uint8_t ctl
    if not _has_token(u, a):
        return False
    ctl = _head(a).ctl
    wait_until(u, 0, _head(a).front)
    if ctl & CTL_STOP and ctl >> 3 & 7:
        return misaligned(u, 1)
    if ctl & CTL_STOP:
        _remove(u, a)
    _close_both(u, a, ctl + 1 if ctl & CTL_STOP else CTL_STOP)
    u.phase = CLOSE
    return True


cdef void run_array_ahead(Unit* u) noexcept nogil:
    """array (ref -> val): values leave as their lines arrive."""
    cdef Ahead* a = <Ahead*> u.access
    cdef bint moved = True
    while moved:
        moved = advance(u, a)
        while _step_array_ahead(u, a):
            moved = True


cdef bint _step_array_ahead(Unit* u, Ahead* a) noexcept nogil:
    cdef ArrayState* s = <ArrayState*> u.state
    cdef Taken* t
    if u.finished:
        return False
    if u.phase == NEXT:
        t = _head(a)
        if not has_room(u) or not _has_token(u, a):
            return False
        if a.direct and t.ctl == CTL_VALUE and 0 <= t.value < s.positions:
            return _send_value(u, s, a, t)
        u.ctl = t.ctl
        if u.ctl == CTL_VALUE and not 0 <= t.value < s.positions:
            return fault(u, FAULT_OUT_OF_RANGE_REF, t.value, s.positions)
        _remove(u, a)
        u.port = 0
        u.phase = METADATA
        if u.ctl == CTL_VALUE:
            u.read_bytes += s.bytes
    if u.phase == METADATA:
        if u.ctl == CTL_VALUE and not _reach_value(u, s, a):
            return False
        _stage_value(u, s, a)
        u.phase = CLOSE
    if not flush(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, u.ii)
    serve_taken(a, u.clock)
    u.phase = NEXT
    return True


cdef bint _send_value(Unit* u, ArrayState* s, Ahead* a, Taken* t) noexcept nogil:
    """Take a reference and send its value, which may lie in one line that is here, at once."""
    _remove(u, a)
    u.ctl = CTL_VALUE
    u.port = 0
    u.read_bytes += s.bytes
    u.phase = METADATA
    if not _reach_value(u, s, a):
        return False
    put_number(u.outputs[0], s.values + t.value * s.step, u.clock + max(u.latency, 1))
    tick(u, u.ii)
    serve_taken(a, u.clock)
    u.phase = NEXT
    return True


cdef bint _reach_value(Unit* u, ArrayState* s, Ahead* a) noexcept nogil:
    """Wait for every line of a value, one after the other; `u.port` says how far."""
    cdef int64_t size = a.readers[0].client.memory.dram.line.size
    cdef int64_t start = (a.readers[0].client.base
                          + a.tokens[(a.removed - 1) & a.mask].value * a.stride)
    cdef int64_t end = start + a.stride
    cdef int64_t line
    if a.stride == WORD:
        return _reach_line(u, a, 0, start)
    line = start - start % size
    while line + u.port * size < end:
        if not _reach_line(u, a, 0, max(start, line + u.port * size)):
            return False
        u.port += 1
    return True


cdef void _stage_value(Unit* u, ArrayState* s, Ahead* a) noexcept nogil:
    if u.ctl == CTL_VALUE:
        stage_number(u, 0, s.values + a.tokens[(a.removed - 1) & a.mask].value * s.step, u.latency)
    elif u.ctl == CTL_MISSING:
        stage_number(u, 0, s.fill, 1)
    else:
        stage_ctl(u, 0, u.ctl)
