# SPDX-License-Identifier: MIT
"""Walking the levels of tensors by bundles: many short fibers become one entry."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.bundles cimport (
    BUNDLE_LENGTH, BUNDLE_LISTS, BUNDLE_TOKENS, BUNDLE_VALUES, STRIDE, Span, are_below, are_long,
    begin_span, close_marks, cut_span, delay_span, drop_span, end_span, fill_range, fire_span,
    forward_span, list_length, list_stop, new_marks, new_payloads, retire_outer, sees_outer,
    send_lists, send_span, send_span_ints, sent_span, span_of,
)
from fuseflow.sim.engine.ring cimport (
    ABSENT, CTL_DONE, CTL_STOP, INTS, RANGE, Chan, Entry, Mark, Payload, absent_at_head,
    behind_head, head_entry, head_int, head_stamp, payload_of, remove_ctl, remove_values,
    values_left, word_space,
)
from fuseflow.sim.engine.runs cimport affine_times
from fuseflow.sim.engine.states cimport DENSE, COMPRESSED, LocateState, ScanState
from fuseflow.sim.engine.unit cimport Unit, arrive


cdef bint bundle_fibers(Unit* u, ScanState* s) noexcept nogil:
    """Send the fibers of as many references as can be taken; False if that is none."""
    cdef Chan* c = u.inputs[0]
    cdef Chan* owner = u.outputs[0] if u.outputs[0] is not NULL else u.outputs[1]
    cdef Span span
    cdef int64_t stop_stamp, n, at = 0, clock
    cdef uint8_t stop
    span.lists = 0
    span.values = 0
    span.t = affine_times(u.clock, u.ii)
    clock = u.clock
    while span.lists < BUNDLE_LISTS and values_left(c) and not absent_at_head(c):
        n = _fiber(s, c, &at)
        if n < 0 or n > BUNDLE_LENGTH or span.values + n > BUNDLE_VALUES:
            break
        if not behind_head(c, &stop, &stop_stamp):
            break
        if stop == CTL_DONE or (stop & CTL_STOP and stop >> 3 & 7):
            break
        clock = _time_list(&span, owner, clock, head_stamp(c), stop_stamp, n, u.ii)
        remove_values(c, 1)
        if stop & CTL_STOP:
            remove_ctl(c)
            stop += 1
        else:
            stop = CTL_STOP
        _add_list(s, &span, at, n, stop)
    if span.lists == 0:
        return False
    u.clock = clock
    u.busy += (span.values + span.lists) * u.ii
    _count_reads(u, s, &span)
    _send_fibers(u, s, &span)
    return True


cdef inline int64_t _time_list(Span* span, Chan* owner, int64_t clock, int64_t stamp,
                               int64_t stop_stamp, int64_t n, int64_t ii) noexcept nogil:
    """Append the times of a list: its reference comes at `stamp`, the token behind that later on.

    Times are affine until something has to be waited for; returns the clock behind the list.
    """
    cdef int64_t at = span.values + span.lists
    cdef int64_t start = max(clock, stamp)
    cdef int64_t end = max(start + n * ii, stop_stamp)
    if not span.t.explicit:
        if at == 0:
            span.t.first = start
        elif start > clock:
            _be_explicit(span, owner, at, ii)
        if end > start + n * ii and (at + n > 0 or span.t.explicit):
            _be_explicit(span, owner, at, ii)
        elif at + n == 0:
            span.t.first = end
    if span.t.explicit:
        fill_range(span.t.stamps + at, start, ii, n)
        span.t.stamps[at + n] = end
    return end + ii


cdef void _be_explicit(Span* span, Chan* owner, int64_t n, int64_t ii) noexcept nogil:
    """Give the first n times, which are affine, an array with room for a whole bundle."""
    cdef int64_t first = span.t.first
    if span.t.explicit:
        return
    span.t.stamps = <int64_t*> word_space(owner, (BUNDLE_TOKENS + STRIDE) * sizeof(int64_t))
    span.t.block = owner.current
    span.t.explicit = True
    span.t.strict = ii >= 1
    span.t.slope = 0
    fill_range(span.t.stamps, first, ii, n)


cdef inline int64_t _fiber(ScanState* s, Chan* c, int64_t* at) noexcept nogil:
    """Find the fiber of the reference at the head; -1 if the rule by tokens must look at it."""
    cdef int64_t ref
    if s.parents < 0:
        return s.size
    ref = head_int(c)
    if not 0 <= ref < s.parents:
        return -1
    if s.format == DENSE:
        at[0] = ref * s.size
        return s.size
    if s.format == COMPRESSED:
        at[0] = s.segments[ref]
        return s.segments[ref + 1] - at[0]
    at[0] = ref
    return 1


cdef inline void _add_list(ScanState* s, Span* span, int64_t at, int64_t n,
                           uint8_t stop) noexcept nogil:
    if span.lists == 0:
        span.n = <int32_t> n
        span.ctl = stop
    else:
        s.marks[span.lists - 1].n = <int32_t> n
        s.marks[span.lists - 1].ctl = stop
    s.places[span.lists] = at
    span.lists += 1
    span.values += n


cdef void _count_reads(Unit* u, ScanState* s, Span* span) noexcept nogil:
    if s.format == COMPRESSED:
        u.read_bytes += 4 * (2 * span.lists + span.values)
    elif s.format != DENSE:
        u.read_bytes += 4 * span.lists


cdef void _send_fibers(Unit* u, ScanState* s, Span* span) noexcept nogil:
    """Send coordinates and positions; both share the marks."""
    cdef bint joined = _is_joined(s, span)
    cdef Chan* c = u.outputs[0]
    cdef Chan* ref = u.outputs[1] if u.n_out > 1 else NULL
    cdef Chan* owner = c if c is not NULL else ref
    span.whole = True
    span.marks = new_marks(owner, span.lists)
    span.block = owner.current
    memcpy(span.marks, s.marks, (span.lists - 1) * sizeof(Mark))
    close_marks(span.marks, span)
    if c is not NULL:
        _send_coordinates(s, c, span, joined)
    if ref is not NULL:
        _send_positions(s, ref, span, joined)


cdef bint _is_joined(ScanState* s, Span* span) noexcept nogil:
    """Whether every fiber begins where the one before ends."""
    cdef int32_t i
    cdef int64_t end = s.places[0] + span.n
    for i in range(1, span.lists):
        if s.places[i] != end:
            return False
        end += s.marks[i - 1].n
    return True


cdef void _send_coordinates(ScanState* s, Chan* c, Span* span, bint joined) noexcept nogil:
    cdef int64_t* place
    cdef Payload* fibers
    cdef int64_t n, done = 0
    cdef int32_t k
    if s.format == DENSE and are_long(span):
        send_lists(c, RANGE, s.zeros, 1, NULL, span)
    elif s.format == DENSE:
        send_span_ints(c, s.pattern, NULL, NULL, span)
    elif joined:
        send_span_ints(c, <int64_t*> s.coordinates + s.places[0], NULL, NULL, span)
    elif are_long(span):
        fibers = new_payloads(c, span.lists, 0)
        for k in range(span.lists):
            fibers[k].ints = <int64_t*> s.coordinates + s.places[k]
        send_lists(c, INTS, fibers, 0, c.current, span)
    else:
        place = <int64_t*> word_space(c, (span.values + STRIDE) * sizeof(int64_t))
        for k in range(span.lists):
            n = list_length(span, k)
            _copy_list(place + done, s.coordinates + s.places[k], n, s.stored - s.places[k])
            done += n
        send_span_ints(c, place, NULL, c.current, span)


cdef inline void _copy_list(int64_t* place, const int64_t* source, int64_t n,
                            int64_t readable) noexcept nogil:
    """Copy n coordinates in whole strides as far as they can be read."""
    cdef int64_t i = 0, k
    while i + STRIDE <= readable:
        for k in range(STRIDE):
            place[i + k] = source[i + k]
        i += STRIDE
        if i >= n:
            return
    memcpy(place + i, source + i, (n - i) * sizeof(int64_t))


cdef void _send_positions(ScanState* s, Chan* c, Span* span, bint joined) noexcept nogil:
    cdef Entry* e
    cdef int64_t* place
    cdef Payload* fibers
    cdef int64_t n, done = 0
    cdef int32_t k
    if joined:
        e = send_span(c, RANGE, span)
        e.data.base = s.places[0]
        e.step = 1
        sent_span(c, e, span, NULL)
    elif are_long(span):
        fibers = new_payloads(c, span.lists, 0)
        for k in range(span.lists):
            fibers[k].base = s.places[k]
        send_lists(c, RANGE, fibers, 1, c.current, span)
    else:
        place = <int64_t*> word_space(c, (span.values + STRIDE) * sizeof(int64_t))
        for k in range(span.lists):
            n = list_length(span, k)
            fill_range(place + done, s.places[k], 1, n)
            done += n
        send_span_ints(c, place, NULL, c.current, span)


cdef bint bundle_children(Unit* u, LocateState* s) noexcept nogil:
    """Locate the lists of a bundle below their parents, as many as find these."""
    cdef Chan* c = u.inputs[0]
    cdef Chan* parent = u.inputs[1]
    cdef Span span
    cdef Entry* e
    cdef int64_t behind, done = 0, latest = 0
    cdef int32_t lists = 0
    if parent is NULL or u.n_in > 2 or u.outputs[1] is NULL or not span_of(c, &span):
        return False
    e = head_entry(c)
    if not sees_outer(parent, span.ctl, False, &behind) or not _are_coordinates(e, &span, s.size):
        return False
    begin_span(u, &span, head_stamp(parent))
    while lists < span.lists and sees_outer(parent, list_stop(&span, lists), False, &behind):
        s.origins[lists] = head_int(parent) * s.parent_stride + s.base
        delay_span(u, &span, done + lists, max(head_stamp(parent), latest))
        # The stop leaves before the parent's stop is waited for.
        latest = behind + u.ii
        retire_outer(parent, list_stop(&span, lists))
        done += list_length(&span, lists)
        lists += 1
    cut_span(&span, lists)
    end_span(u, &span)
    arrive(u, latest)
    _send_located(s, u.outputs[1], e, &span)
    forward_span(u.outputs[0], e, &span)
    drop_span(c, &span)
    return True


cdef void _send_located(LocateState* s, Chan* c, Entry* e, Span* span) noexcept nogil:
    """Send the references of all coordinates, each list from its own origin on."""
    cdef int64_t i, n, done = 0, stride = s.stride
    cdef int64_t* place
    cdef Payload* ranges
    cdef Payload p
    cdef int32_t k
    if e.rest is not NULL and e.kind == RANGE:
        ranges = new_payloads(c, span.lists, 0)
        for k in range(span.lists):
            ranges[k].base = s.origins[k] + payload_of(e, k, 0).base * stride
        send_lists(c, RANGE, ranges, e.step * stride, c.current, span)
        return
    place = <int64_t*> word_space(c, span.values * sizeof(int64_t))
    for k in range(span.lists):
        n = list_length(span, k)
        p = payload_of(e, k, done)
        if e.kind == INTS:
            for i in range(n):
                place[done + i] = s.origins[k] + p.ints[i] * stride
        else:
            for i in range(n):
                place[done + i] = s.origins[k] + (p.base + e.step * i) * stride
        done += n
    send_span_ints(c, place, NULL, c.current, span)


cdef bint _are_coordinates(Entry* e, Span* span, int64_t size) noexcept nogil:
    """Whether all values of a span are below the size of a level."""
    cdef int64_t n, done = 0
    cdef int32_t k
    if e.kind == ABSENT or e.holes is not NULL:
        return False
    if e.kind == INTS and e.rest is NULL:
        return are_below(e.data.ints, span.values, size)
    for k in range(span.lists):
        n = list_length(span, k)
        if not _fit(e, payload_of(e, k, done), n, size):
            return False
        done += n
    return True


cdef inline bint _fit(Entry* e, Payload p, int64_t n, int64_t size) noexcept nogil:
    """Whether n values of a payload are below the size of a level."""
    cdef int64_t last
    if e.kind == INTS:
        return are_below(p.ints, n, size)
    last = p.base + e.step * (n - 1)
    return n == 0 or (0 <= min(p.base, last) and max(p.base, last) < size)


cdef bint bundle_locations(Unit* u, LocateState* s) noexcept nogil:
    """Locate all coordinates of a bundle without parents; False if there is none to locate."""
    cdef Chan* c = u.inputs[0]
    cdef Entry* e
    cdef Span span
    cdef int32_t k
    if u.inputs[1] is not NULL or u.n_in > 2 or not span_of(c, &span):
        return False
    e = head_entry(c)
    if not _are_coordinates(e, &span, s.size):
        return False
    fire_span(u, &span, u.ii)
    if u.outputs[1] is not NULL:
        for k in range(span.lists):
            s.origins[k] = s.base
        _send_located(s, u.outputs[1], e, &span)
    forward_span(u.outputs[0], e, &span)
    drop_span(c, &span)
    return True
