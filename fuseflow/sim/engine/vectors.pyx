# SPDX-License-Identifier: MIT
"""Reading stored arrays by vectors that a unit asks for and waits for: scan and array.

A rule by tokens has each micro-step; where channels are unbounded, what a vector brings is a run.
"""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.levels cimport enter_fiber
from fuseflow.sim.engine.lines cimport WORD, Vectors, ask
from fuseflow.sim.engine.memory cimport UNANSWERED
from fuseflow.sim.engine.pool cimport FAULT_OUT_OF_RANGE_REF
from fuseflow.sim.engine.reading cimport (
    ANSWER, CLOSE, FIBER, LOOK, METADATA, NEXT, PAIR, SEND, stage_both, stage_pair,
    stage_stop_of_fiber,
)
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_VALUE, Chan, Entry, absent_at_head, block_space, entry_int,
    has, head_ctl, head_entry, head_int, remove_values, values_left,
)
from fuseflow.sim.engine.runs cimport (
    Times, affine_times, append_numbers, arrivals, begin_drain, drain, send_ints, send_range,
)
from fuseflow.sim.engine.states cimport COMPRESSED, ArrayState, ScanState
from fuseflow.sim.engine.unit cimport (
    Unit, fault, finish, flush, has_room, reach_memory, stage_ctl,
    stage_number, take, tick, wait_memory, wait_token,
)


cdef void run_scan_vectors(Unit* u) noexcept nogil:
    """scan on unbounded channels: the coordinates of a vector are a run."""
    cdef Vectors* v = <Vectors*> u.access
    while not u.finished:
        if u.phase == ANSWER and v.response != UNANSWERED:
            reach_memory(u, v.response)
            _send_vector(u, <ScanState*> u.state, v)
        elif not step_scan_vectors(u):
            return


cdef void _send_vector(Unit* u, ScanState* s, Vectors* v) noexcept nogil:
    cdef Times t = affine_times(u.clock, 0)
    cdef int64_t n = v.end - s.at
    send_ints(u.outputs[0], s.coordinates + s.at, NULL, n, &t)
    if u.n_out > 1:
        send_range(u.outputs[1], s.at, 1, n, &t)
    s.at = v.end
    u.phase = FIBER


cdef void run_array_vectors(Unit* u) noexcept nogil:
    """array of scalars on unbounded channels: references come and values go by runs."""
    cdef ArrayState* s = <ArrayState*> u.state
    cdef Vectors* v = <Vectors*> u.access
    while not u.finished:
        if u.phase == ANSWER and v.response != UNANSWERED:
            reach_memory(u, v.response)
            _send_values(u, s, v)
        elif not _collect_run(u, s, v) and not step_array_vectors(u):
            return


cdef void _send_values(Unit* u, ArrayState* s, Vectors* v) noexcept nogil:
    """Send all values of a vector at once; what ended it comes behind."""
    cdef Chan* c = u.outputs[0]
    cdef float* place = <float*> block_space(c, v.count * sizeof(float))
    cdef Times t = affine_times(u.clock + max(u.latency, 1) - 1, 0)
    cdef int64_t i
    for i in range(v.count):
        place[i] = s.values[v.held[i] * s.step]
    append_numbers(c, place, v.count, &t)
    v.count = 0
    u.phase = FIBER
    if u.ctl == CTL_VALUE:
        tick(u, u.ii)
        u.phase = NEXT


cdef bint _collect_run(Unit* u, ArrayState* s, Vectors* v) noexcept nogil:
    """Take references up to a vector, and ask for that; False if the rule by tokens must decide."""
    cdef Chan* c = u.inputs[0]
    cdef int64_t n = min(values_left(c), v.batch - v.count)
    cdef int64_t i, ref
    cdef Entry* e
    cdef Times t
    if u.phase != NEXT or n == 0 or absent_at_head(c) or not has_room(u):
        return False
    e = head_entry(c)
    for i in range(n):
        ref = entry_int(e, c.pos + i)
        if not 0 <= ref < s.positions:
            return False
        v.held[v.count + i] = ref
    t = arrivals(c)
    begin_drain(u, u.ii, n)
    drain(u, &t, u.ii, n)
    remove_values(c, n)
    v.count += n
    if v.count < v.batch:
        return True
    # The work of the last one is done when the vector is here.
    u.clock -= u.ii
    u.busy -= u.ii
    u.ctl = CTL_VALUE
    u.read_bytes += s.bytes * v.count
    u.phase = ANSWER
    return ask(&v.clients[0], u.clock, 0, <int32_t> (s.bytes // WORD * v.count), False, &v.response)


cdef bint step_scan_vectors(Unit* u) noexcept nogil:
    """scan (ref -> crd, ref): asks for segments, then for coordinates by vectors, and waits."""
    cdef ScanState* s = <ScanState*> u.state
    cdef Vectors* v = <Vectors*> u.access
    if u.phase == NEXT and not _next_reference(u, s, v):
        return False
    if u.phase == METADATA:
        if v.response == UNANSWERED:
            return wait_memory(u)
        reach_memory(u, v.response)
        u.phase = FIBER
    if u.phase == FIBER:
        if s.at == s.end:
            u.phase = LOOK
        else:
            v.end = min(s.end, s.at + v.batch)
            u.phase = ANSWER
            if not ask(&v.clients[s.format == COMPRESSED], u.clock, 0,
                       <int32_t> (v.end - s.at), False, &v.response):
                return False
    if u.phase == ANSWER:
        if v.response == UNANSWERED:
            return wait_memory(u)
        reach_memory(u, v.response)
        u.phase = PAIR
    while u.phase == PAIR or u.phase == SEND:
        if u.phase == PAIR:
            if not has_room(u):
                return False
            stage_pair(u, s)
            u.phase = SEND
        if not flush(u):
            return False
        u.phase = FIBER if s.at == v.end else PAIR
    if u.phase == FIBER:
        return True
    if u.phase == LOOK:
        if not stage_stop_of_fiber(u):
            return False
        u.phase = CLOSE
    if not flush(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, u.ii)
    u.phase = NEXT
    return True


cdef bint _next_reference(Unit* u, ScanState* s, Vectors* v) noexcept nogil:
    cdef Chan* c = u.inputs[0]
    cdef int64_t ref
    if not has_room(u):
        return False
    if not has(c):
        return wait_token(u, 0)
    u.ctl = head_ctl(c)
    ref = head_int(c) if u.ctl == CTL_VALUE else 0
    if u.ctl == CTL_VALUE and not enter_fiber(u, s, ref):
        return False
    take(u, 0)
    u.phase = FIBER
    if u.ctl == CTL_MISSING:
        s.at = 0
        s.end = 0
    elif u.ctl != CTL_VALUE:
        stage_both(u, u.ctl if u.ctl == CTL_DONE else u.ctl + 9)
        u.phase = CLOSE
    elif s.format == COMPRESSED:
        u.phase = METADATA
        return ask(&v.clients[0], u.clock, 0, 2, False, &v.response)
    return True


cdef bint step_array_vectors(Unit* u) noexcept nogil:
    """array (ref -> val): collects references and asks for their values together."""
    cdef ArrayState* s = <ArrayState*> u.state
    cdef Vectors* v = <Vectors*> u.access
    if u.phase == NEXT and not _collect(u, s, v):
        return False
    if u.phase == FIBER and v.count:
        u.read_bytes += s.bytes * v.count
        u.phase = ANSWER
        if not ask(&v.clients[0], u.clock, 0, <int32_t> (s.bytes // WORD * v.count), False,
                   &v.response):
            return False
    if u.phase == ANSWER:
        if v.response == UNANSWERED:
            return wait_memory(u)
        reach_memory(u, v.response)
        v.at = 0
        u.phase = PAIR
    while u.phase == PAIR or u.phase == SEND:
        if u.phase == PAIR:
            if not has_room(u):
                return False
            stage_number(u, 0, s.values + v.held[v.at] * s.step, u.latency)
            v.at += 1
            u.phase = SEND
        if not flush(u):
            return False
        u.phase = FIBER if v.at == v.count else PAIR
        if u.phase == FIBER:
            v.count = 0
    if u.phase == FIBER:
        if u.ctl == CTL_MISSING:
            stage_number(u, 0, s.fill, 1)
        elif u.ctl != CTL_VALUE:
            stage_ctl(u, 0, u.ctl)
        u.phase = CLOSE
    if not flush(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, u.ii)
    u.phase = NEXT
    return True


cdef bint _collect(Unit* u, ArrayState* s, Vectors* v) noexcept nogil:
    """Take a token; a reference is kept until there are enough, all else ends the vector."""
    cdef Chan* c = u.inputs[0]
    cdef int64_t ref
    if not has_room(u):
        return False
    if not has(c):
        return wait_token(u, 0)
    u.ctl = head_ctl(c)
    u.phase = FIBER
    if u.ctl == CTL_VALUE:
        ref = head_int(c)
        if not 0 <= ref < s.positions:
            return fault(u, FAULT_OUT_OF_RANGE_REF, ref, s.positions)
        v.held[v.count] = ref
        v.count += 1
        if v.count < v.batch:
            u.phase = CLOSE
    take(u, 0)
    return True
