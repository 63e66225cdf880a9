# SPDX-License-Identifier: MIT
"""The sparse accumulator by runs: the leaves of a fiber are combined in one loop."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.accumulate cimport MAX_ORDER, add_entry, add_known, leave_strip, step_spacc
from fuseflow.sim.engine.bundles cimport (
    Span, common_span, cut_span, drop_span, list_length, list_stop, span_of, start_of,
)
from fuseflow.sim.engine.ring cimport (
    ABSENT, CTL_STOP, INTS, RANGE, Chan, Entry, absent_at_head, entry_int, head_entry, head_int,
    is_missing, payload_of, remove_ctl, remove_values, stop_at_head, values_left,
)
from fuseflow.sim.engine.runs cimport Times, arrivals, begin_drain, drain
from fuseflow.sim.engine.strip cimport (
    STRIP_LIMIT, strip_add_keys, strip_add_range, strip_reserve,
)
from fuseflow.sim.engine.unit cimport Unit, arrive, has_room, peek, tick
from fuseflow.sim.engine.values cimport REDUCE_TAKE


cdef void run_spacc(Unit* u) noexcept nogil:
    """spacc: combine the leaves that coordinate and value streams both show."""
    cdef SpaccState* s = <SpaccState*> u.state
    cdef int64_t n
    while True:
        if not has_room(u):
            return
        if u.phase == REDUCE_TAKE and s.in_strip and _combine_lists(u, s):
            continue
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
        if s.expected[j] or values_left(u.inputs[j]) == 0 or absent_at_head(u.inputs[j]):
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
        if s.expected[j] or values_left(u.inputs[j]) == 0 or absent_at_head(u.inputs[j]):
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


cdef bint _combine_lists(Unit* u, SpaccState* s) noexcept nogil:
    """Combine the lists of a bundle up to the end of a group; False if there is no bundle."""
    cdef Chan* outer = u.inputs[0]
    cdef Entry* crd
    cdef Entry* val
    cdef Span span, other
    cdef int64_t n, done = 0
    cdef int32_t lists = 0
    cdef uint8_t stop
    if s.expected[0] or s.expected[1] or values_left(outer) == 0 or absent_at_head(outer):
        return False
    if not span_of(u.inputs[1], &span) or not span_of(u.inputs[2], &other):
        return False
    crd = head_entry(u.inputs[1])
    val = head_entry(u.inputs[2])
    if crd.kind == ABSENT or val.kind == ABSENT or val.holes is not NULL:
        return False
    if not common_span(&span, &other):
        return False
    while lists < span.lists and values_left(outer) and not absent_at_head(outer):
        n = list_length(&span, lists)
        stop = list_stop(&span, lists)
        peek(u, 0)
        arrive(u, start_of(&span, done + lists, n + 1, u.ii))
        arrive(u, start_of(&other, done + lists, n + 1, u.ii))
        tick(u, u.ii * (n + 1))
        remove_values(outer, 1)
        done += n
        lists += 1
        if stop & 7:
            s.expected[0] = stop - 1
            break
    u.flops += done * s.width
    s.open[0] = True
    s.open[1] = False
    cut_span(&span, lists)
    _add_lists(u, s, crd, val, &span)
    drop_span(u.inputs[1], &span)
    drop_span(u.inputs[2], &span)
    return True


cdef void _add_lists(Unit* u, SpaccState* s, Entry* crd, Entry* val, Span* span) noexcept nogil:
    """Combine all values of a span: list by list where keys are neighbours, else in one loop."""
    cdef Entry keys = crd[0]
    cdef int64_t n, done = 0
    cdef int32_t k
    if crd.kind == INTS and crd.rest is NULL and val.rest is NULL and not _neighbours(crd, span.n):
        if not _add_keys(s, crd.data.ints, val.data.numbers, val.step, span.values):
            _combine_at(u, s, crd, 0, val.data.numbers, val.step, span.values)
        return
    for k in range(span.lists):
        n = list_length(span, k)
        keys.data = payload_of(crd, k, done)
        _combine_at(u, s, &keys, 0, payload_of(val, k, done).numbers, val.step, n)
        done += n


cdef inline bint _neighbours(Entry* crd, int64_t n) noexcept nogil:
    """Whether n ascending coordinates at the head of an array look like neighbours."""
    return n >= 4 and crd.data.ints[n - 1] - crd.data.ints[0] == n - 1


cdef bint _add_keys(SpaccState* s, const int64_t* keys, const float* values, int64_t step,
                    int64_t n) noexcept nogil:
    """Combine n values into the strip key by key; False if that is no place for them."""
    cdef int64_t i, largest = 0
    for i in range(n):
        largest = keys[i] if keys[i] > largest else largest
    if largest >= STRIP_LIMIT or not strip_reserve(&s.strip, largest + 1, n):
        return False
    strip_add_keys(&s.strip, keys, values, step, n)
    return True


cdef inline bint _add_list(SpaccState* s, Entry* crd, int64_t at, const float* values,
                           int64_t step, int64_t n) noexcept nogil:
    """Combine n values into the strip, neighbouring keys in one loop; False if it is no place."""
    cdef int64_t first = entry_int(crd, at)
    cdef int64_t largest = max(first, entry_int(crd, at + n - 1))
    cdef int64_t i
    cdef bint neighbours = crd.kind == RANGE and (crd.step == 1 or n == 1)
    cdef const int64_t* keys
    if crd.kind != RANGE:
        keys = crd.data.ints + at
        neighbours = True
        for i in range(1, n):
            neighbours = neighbours and keys[i] == first + i
            if keys[i] > largest:
                largest = keys[i]
    if largest >= STRIP_LIMIT or not strip_reserve(&s.strip, largest + 1, n):
        return False
    if neighbours:
        strip_add_range(&s.strip, first, values, step, n)
    elif crd.kind != RANGE:
        strip_add_keys(&s.strip, crd.data.ints + at, values, step, n)
    else:
        for i in range(n):
            strip_add_range(&s.strip, entry_int(crd, at + i), values + i * step, 0, 1)
    return True


cdef bint _combine_values(Unit* u, SpaccState* s, Entry* crd, int64_t at, Entry* val,
                          int64_t val_at, int64_t n) noexcept nogil:
    """Combine n values into the entries of n coordinates; False and a fault without memory."""
    if is_missing(val, val_at):
        return _combine_at(u, s, crd, at, s.fill, 0, n)
    u.flops += n * s.width
    return _combine_at(u, s, crd, at, val.data.numbers + val.step * val_at, val.step, n)


cdef bint _combine_at(Unit* u, SpaccState* s, Entry* crd, int64_t at, const float* values,
                      int64_t step, int64_t n) noexcept nogil:
    """Combine n values, `step` floats apart, into the entries of the coordinates from `at` on."""
    cdef int64_t keys[MAX_ORDER]
    cdef int64_t i = 0
    cdef int32_t j
    if n == 0:
        return True
    if s.in_strip:
        if _add_list(s, crd, at, values, step, n):
            return True
        if not leave_strip(u, s):
            return False
    for j in range(s.order - 1):
        keys[j] = head_int(u.inputs[j + 1])
    while i < n:
        i += add_known(s, keys, crd, at + i, values + i * step, step, n - i)
        if i == n:
            break
        keys[s.order - 1] = entry_int(crd, at + i)
        if not add_entry(u, s, keys, values + i * step):
            return False
        i += 1
    return True
