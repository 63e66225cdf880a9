# SPDX-License-Identifier: MIT
"""The sparse accumulator by runs: the leaves of a fiber are combined in one loop."""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.accumulate cimport MAX_ORDER, add_entry, leave_strip, step_spacc
from fuseflow.sim.engine.ring cimport (
    ABSENT, CTL_STOP, RANGE, Chan, Entry, entry_int, head_entry, head_int, remove_ctl,
    remove_values, stop_at_head, values_left,
)
from fuseflow.sim.engine.runs cimport Times, arrivals, begin_drain, drain
from fuseflow.sim.engine.strip cimport STRIP_LIMIT, strip_add, strip_add_range, strip_reserve
from fuseflow.sim.engine.unit cimport Unit, arrive, has_room, peek, tick
from fuseflow.sim.engine.values cimport REDUCE_TAKE


cdef void run_spacc(Unit* u) noexcept nogil:
    """spacc: combine the leaves that coordinate and value streams both show."""
    cdef SpaccState* s = <SpaccState*> u.state
    cdef int64_t n
    while True:
        if not has_room(u):
            return
        n = _leaves(u, s) if u.phase == REDUCE_TAKE else 0
        if n > 0:
            if not _combine(u, s, n):
                return
        elif not (u.phase == REDUCE_TAKE and _close_fiber(u, s)) and not step_spacc(u):
            return


cdef int64_t _leaves(Unit* u, SpaccState* s) noexcept nogil:
    """Return how many leaves can be combined at once, 0 if the rule by tokens must decide."""
    cdef int32_t j
    for j in range(s.order + 1):
        if s.expected[j] or values_left(u.inputs[j]) == 0 or head_entry(u.inputs[j]).kind == ABSENT:
            return 0
    return min(values_left(u.inputs[s.order]), values_left(u.inputs[s.order + 1]))


cdef bint _close_fiber(Unit* u, SpaccState* s) noexcept nogil:
    """Retire the end of a fiber and the coordinate above it; False if it is another case."""
    cdef Chan* crd = u.inputs[s.order]
    cdef Chan* val = u.inputs[s.order + 1]
    cdef int32_t j
    if stop_at_head(crd) != CTL_STOP or stop_at_head(val) != CTL_STOP or s.expected[s.order]:
        return False
    for j in range(s.order):
        if s.expected[j] or values_left(u.inputs[j]) == 0 or head_entry(u.inputs[j]).kind == ABSENT:
            return False
    for j in range(s.order):
        peek(u, j)
    arrive(u, head_entry(crd).ctl_stamp)
    arrive(u, head_entry(val).ctl_stamp)
    remove_ctl(crd)
    remove_ctl(val)
    remove_values(u.inputs[s.order - 1], 1)
    s.open[s.order] = False
    s.open[s.order - 1] = True
    tick(u, u.ii)
    return True


cdef bint _combine(Unit* u, SpaccState* s, int64_t n) noexcept nogil:
    cdef Chan* crd = u.inputs[s.order]
    cdef Chan* val = u.inputs[s.order + 1]
    cdef Times t
    cdef int32_t j
    for j in range(s.order):
        peek(u, j)
        s.open[j] = True
    s.open[s.order] = True
    begin_drain(u, u.ii, n)
    t = arrivals(crd)
    drain(u, &t, u.ii, n)
    t = arrivals(val)
    drain(u, &t, u.ii, n)
    if not _combine_values(u, s, head_entry(crd), crd.pos, head_entry(val), val.pos, n):
        return False
    remove_values(crd, n)
    remove_values(val, n)
    return True


cdef bint _combine_values(Unit* u, SpaccState* s, Entry* crd, int64_t at, Entry* val,
                          int64_t val_at, int64_t n) noexcept nogil:
    """Combine n values into the entries of n coordinates."""
    cdef int64_t keys[MAX_ORDER]
    cdef int64_t first = entry_int(crd, at), last = entry_int(crd, at + n - 1)
    cdef int64_t i, step = 0, largest = max(first, last)
    cdef int32_t j
    cdef const float* values = s.fill
    cdef const int64_t* ints
    if val.kind != ABSENT:
        values = val.data.numbers + val.step * val_at
        step = val.step
        u.flops += n * s.width
    if crd.kind != RANGE:
        ints = crd.data.ints + at
        for i in range(n):
            largest = max(largest, ints[i])
    if s.in_strip and largest >= STRIP_LIMIT and not leave_strip(u, s):
        return False
    if s.in_strip:
        if not strip_reserve(&s.strip, largest + 1, n):
            return False
        if crd.kind == RANGE and (crd.step == 1 or n == 1):
            strip_add_range(&s.strip, s.op, first, values, step, n)
        else:
            for i in range(n):
                strip_add(&s.strip, s.op, entry_int(crd, at + i), values + i * step)
        return True
    for j in range(s.order - 1):
        keys[j] = head_int(u.inputs[j + 1])
    for i in range(n):
        keys[s.order - 1] = entry_int(crd, at + i)
        if not add_entry(u, s, keys, values + i * step):
            return False
    return True
