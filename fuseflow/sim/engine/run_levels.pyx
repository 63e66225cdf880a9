# SPDX-License-Identifier: MIT
"""Walking the levels of tensors by runs: a fiber is one run, its payload a slice or a range."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.bundle_levels cimport bundle_children, bundle_fibers, bundle_locations
from fuseflow.sim.engine.levels cimport (
    LOCATE_PARENT, SCAN_FIBER, SCAN_LOOK, SCAN_NEXT, enter_fiber, step_locate, step_scan,
)
from fuseflow.sim.engine.pool cimport FAULT_OUT_OF_RANGE_CRD
from fuseflow.sim.engine.ring cimport (
    CTL_STOP, RANGE, RUN_LIMIT, Chan, Entry, absent_at_head, entry_int, head_entry, head_int,
    put_ctl, remove_values, stop_at_head, values_left, word_space,
)
from fuseflow.sim.engine.runs cimport (
    Times, arrivals, fire, forward, later, send_ints, send_missing, send_range,
)
from fuseflow.sim.engine.states cimport DENSE, LocateState, ScanState
from fuseflow.sim.engine.unit cimport Unit, arrive, fault, has_room, pass_stop, peek, tick


cdef void run_scan(Unit* u) noexcept nogil:
    """scan and full: send what is left of a fiber at once, and its stop with it if that is clear.
    """
    cdef ScanState* s = <ScanState*> u.state
    cdef Chan* c = u.inputs[0]
    while True:
        if not has_room(u):
            return
        if u.phase == SCAN_NEXT and s.marks is not NULL and bundle_fibers(u, s):
            continue
        if u.phase == SCAN_NEXT and values_left(c) >= 2 and not absent_at_head(c):
            peek(u, 0)
            if not enter_fiber(u, s, 0 if s.parents < 0 else head_int(c)):
                return
            remove_values(c, 1)
            _send_fiber(u, s)
            peek(u, 0)
            _send_stop(u)
        elif u.phase == SCAN_FIBER and s.at < s.end:
            _send_fiber(u, s)
            u.phase = SCAN_LOOK
        elif not step_scan(u):
            return


cdef inline void _send_fiber(Unit* u, ScanState* s) noexcept nogil:
    """Send the rest of the fiber under way, a value per iteration."""
    cdef int64_t n = s.end - s.at
    cdef Times t
    if n == 0:
        return
    t.explicit = False
    t.strict = False
    t.private = False
    t.stamps = NULL
    t.block = NULL
    t.first = u.clock
    t.slope = u.ii
    tick(u, n * u.ii)
    if s.format == DENSE:
        send_range(u.outputs[0], s.at, 1, n, &t)
    else:
        send_ints(u.outputs[0], s.coordinates + s.at, NULL, n, &t)
    if u.n_out > 1:
        send_range(u.outputs[1], s.origin + s.at, 1, n, &t)
    s.at = s.end


cdef inline void _send_stop(Unit* u) noexcept nogil:
    """End a fiber before another one."""
    cdef int32_t k
    for k in range(u.n_out):
        if u.outputs[k] is not NULL:
            put_ctl(u.outputs[k], CTL_STOP, u.clock + 1)
    tick(u, u.ii)


cdef void run_locate(Unit* u) noexcept nogil:
    """locate in a dense level: references are affine in the coordinates."""
    cdef LocateState* s = <LocateState*> u.state
    cdef Times t, other
    cdef int64_t n
    cdef int32_t port
    while True:
        if not has_room(u):
            return
        if u.phase == LOCATE_PARENT and (
                bundle_locations(u, s) or bundle_children(u, s)):
            continue
        n = _locatable(u) if u.phase == LOCATE_PARENT else 0
        if n == 0:
            if not (u.phase == LOCATE_PARENT and _close_located(u)) and not step_locate(u):
                return
            continue
        if n > RUN_LIMIT:
            n = RUN_LIMIT
        if u.inputs[1] is not NULL:
            peek(u, 1)
        t = arrivals(u.inputs[0])
        for port in range(2, u.n_in):
            other = arrivals(u.inputs[port])
            later(u, &t, &other, &n)
        fire(u, &t, u.ii, &n)
        if not _send_locations(u, s, n, &t):
            return
        forward(u.outputs[0], head_entry(u.inputs[0]), u.inputs[0].pos, n, &t, False)
        for port in range(2, u.n_in):
            forward(u.outputs[port], head_entry(u.inputs[port]), u.inputs[port].pos, n, &t, False)
            remove_values(u.inputs[port], n)
        remove_values(u.inputs[0], n)


cdef inline int64_t _locatable(Unit* u) noexcept nogil:
    """Return how many coordinates can be located at once below the parent at the head."""
    cdef int64_t n = values_left(u.inputs[0])
    cdef int32_t port
    if n == 0 or absent_at_head(u.inputs[0]):
        return 0
    if u.inputs[1] is not NULL and values_left(u.inputs[1]) == 0:
        return 0
    for port in range(2, u.n_in):
        n = min(n, values_left(u.inputs[port]))
    return n


cdef inline bint _close_located(Unit* u) noexcept nogil:
    """Pass the stop of a list before another one; False if that is not what comes."""
    cdef Chan* c = u.inputs[0]
    cdef Chan* parent = u.inputs[1]
    cdef uint8_t stop = stop_at_head(c)
    if u.n_in > 2 or not stop:
        return False
    if parent is not NULL:
        if stop != CTL_STOP or values_left(parent) == 0:
            return False
        peek(u, 1)
    arrive(u, head_entry(c).ctl_stamp)
    if u.outputs[1] is not NULL:
        put_ctl(u.outputs[1], stop, u.clock + 1)
    if parent is not NULL:
        remove_values(parent, 1)
    pass_stop(u, c, u.outputs[0])
    return True


cdef bint _send_locations(Unit* u, LocateState* s, int64_t n, Times* t) noexcept nogil:
    """Send the references of n coordinates; False and a fault if one is out of range."""
    cdef Chan* c = u.inputs[0]
    cdef Entry* e = head_entry(c)
    cdef int64_t i, origin = s.base
    cdef int64_t first = entry_int(e, c.pos), last = entry_int(e, c.pos + n - 1)
    cdef const int64_t* source
    cdef int64_t* place
    if not (0 <= min(first, last) and max(first, last) < s.size):
        return fault(u, FAULT_OUT_OF_RANGE_CRD, max(first, last), s.size)
    if u.inputs[1] is not NULL:
        if absent_at_head(u.inputs[1]):
            send_missing(u.outputs[1], n, t)
            return True
        origin += entry_int(head_entry(u.inputs[1]), u.inputs[1].pos) * s.parent_stride
    if e.kind == RANGE:
        send_range(u.outputs[1], origin + first * s.stride, e.step * s.stride, n, t)
        return True
    source = e.data.ints + c.pos
    for i in range(n):
        if not 0 <= source[i] < s.size:
            return fault(u, FAULT_OUT_OF_RANGE_CRD, source[i], s.size)
    if u.outputs[1] is NULL:
        return True
    place = <int64_t*> word_space(u.outputs[1], n * sizeof(int64_t))
    for i in range(n):
        place[i] = origin + source[i] * s.stride
    send_ints(u.outputs[1], place, u.outputs[1].current, n, t)
    return True
