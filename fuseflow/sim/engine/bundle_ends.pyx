# SPDX-License-Identifier: MIT
"""Where the lists of bundles end: writers store them, a reduction makes a number of each.

Each rule returns False, having changed nothing, if the rule by lists must take over.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from fuseflow.sim.engine.bundles cimport (
    Span, drop_span, flat_ints, flat_numbers, list_length, list_stop, span_of, start_of,
)
from fuseflow.sim.engine.ends cimport close_segment, reserve_coordinates, reserve_values
from fuseflow.sim.engine.ring cimport (
    ABSENT, Chan, Entry, block_space, head_entry, payload_of, put_ctl, word_space,
)
from fuseflow.sim.engine.runs cimport Times, pack_times, send_numbers, time_of
from fuseflow.sim.engine.states cimport LevelWriteState, ReduceState, ValWriteState
from fuseflow.sim.engine.unit cimport Unit, arrive, tick
from fuseflow.sim.engine.values cimport finish_total, fold_values


cdef bint bundle_level_write(Unit* u, LevelWriteState* s) noexcept nogil:
    """level_write: append the coordinates of all lists, then their ends."""
    cdef Span span
    cdef Entry* e
    cdef int64_t i, tokens
    cdef int64_t* to
    cdef const int64_t* crd
    if not span_of(u.inputs[0], &span):
        return False
    e = head_entry(u.inputs[0])
    if e.kind == ABSENT or e.holes is not NULL or not reserve_coordinates(u, s, span.values):
        return False
    tokens = span.values + span.lists
    arrive(u, start_of(&span, 0, tokens, u.ii))
    tick(u, tokens * u.ii)
    to = s.coordinates + s.n_coordinates
    crd = flat_ints(e, &span, to)
    if crd is not to:
        memcpy(to, crd, span.values * sizeof(int64_t))
    for i in range(span.lists):
        s.n_coordinates += list_length(&span, <int32_t> i)
        if not close_segment(u, s):
            break
    drop_span(u.inputs[0], &span)
    return True


cdef bint bundle_val_write(Unit* u, ValWriteState* s) noexcept nogil:
    """val_write without references: append the numbers of all lists; stops take no time."""
    cdef Span span
    cdef Chan* c = u.inputs[0]
    cdef Entry* e
    cdef int64_t i, step
    cdef float* to
    cdef const float* numbers
    if c.width != 1 or u.ii > 1 or not span_of(c, &span):
        return False
    e = head_entry(c)
    # Only where stamps rise by 1 at least does nothing but the last token count.
    if e.kind == ABSENT or not (span.t.strict if span.t.explicit else span.t.slope >= 1):
        return False
    if s.positions >= 0 and s.count + span.values > s.positions:
        return False
    if not reserve_values(u, s, span.values):
        return False
    tick(u, span.values * u.ii)
    arrive(u, time_of(&span.t, span.values + span.lists - 1))
    to = s.values + s.count
    numbers = flat_numbers(e, &span, to, &step)
    if numbers is not to:
        for i in range(span.values):
            to[i] = numbers[step * i]
    if e.holes is not NULL:
        for i in range(span.values):
            if e.holes[i]:
                to[i] = s.fill[0]
    s.count += span.values
    s.written += span.values
    drop_span(c, &span)
    return True


cdef bint bundle_reduce(Unit* u, ReduceState* s) noexcept nogil:
    """reduce: one number per list; what ends more than one list ends a run of numbers."""
    cdef Span span
    cdef Chan* c = u.inputs[0]
    cdef Chan* out = u.outputs[0]
    cdef Entry* e
    cdef int64_t n, done = 0, waiting = 0
    cdef int32_t k
    cdef float* totals
    cdef Times t
    if c.width != 1 or s.extent >= 0 or s.fold_columns or not span_of(c, &span):
        return False
    e = head_entry(c)
    if e.kind == ABSENT or e.holes is not NULL or (u.n_in > 1 and u.inputs[1] is not NULL):
        return False
    t = _new_times(u, out, span.lists)
    totals = <float*> block_space(out, span.lists * sizeof(float))
    for k in range(span.lists):
        n = list_length(&span, k)
        fold_values(s, payload_of(e, k, done).numbers, e.step, n, 1)
        s.count = n
        finish_total(s, 1)
        arrive(u, start_of(&span, done + k, n + 1, u.ii))
        tick(u, n * u.ii)
        totals[k] = s.total[0]
        t.stamps[k] = u.clock
        if list_stop(&span, k) & 7:
            _send_totals(u, out, totals, &t, waiting, k + 1)
            put_ctl(out, list_stop(&span, k) - 1, u.clock + 1)
            waiting = k + 1
        tick(u, u.ii)
        s.total[0] = s.init
        done += n
    s.count = 0
    u.flops += done
    _send_totals(u, out, totals, &t, waiting, span.lists)
    drop_span(c, &span)
    return True


cdef inline Times _new_times(Unit* u, Chan* c, int64_t n) noexcept nogil:
    """Return room for n times, each later than the one before, in a block of c."""
    cdef Times t
    t.explicit = True
    t.strict = u.ii >= 1
    t.private = False
    t.first = 0
    t.slope = 0
    t.stamps = <int64_t*> word_space(c, n * sizeof(int64_t))
    t.block = c.current
    return t


cdef void _send_totals(Unit* u, Chan* c, float* totals, Times* t, int64_t start,
                       int64_t end) noexcept nogil:
    """Send some of the numbers and times that lie in the blocks of c."""
    cdef Times part = t[0]
    if start == end:
        return
    part.stamps = t.stamps + start
    pack_times(&part, end - start)
    send_numbers(c, totals + start, 1, c.current, end - start, &part, u.latency)
