# SPDX-License-Identifier: MIT
"""Copying streams and computing numbers by bundles: one loop over the values of many lists.

Each rule returns False, having changed nothing, if the rule by lists must take over.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.bundles cimport (
    STRIDE, Span, begin_span, common_span, cut_span, drop_span, fill_numbers, fill_range, fire_span,
    forward_span, outer_in_time, send_span, sent_span, span_of,
)
from fuseflow.sim.engine.pool cimport Block
from fuseflow.sim.engine.ring cimport (
    ABSENT, INTS, NUMBERS, RANGE, Chan, Entry, block_space, entry_int, head_entry, head_int,
    head_number, head_stamp, remove_ctl, remove_values, values_left,
)
from fuseflow.sim.engine.states cimport AluState, ArrayState
from fuseflow.sim.engine.tiles cimport apply
from fuseflow.sim.engine.unit cimport Unit


cdef bint bundle_repsig(Unit* u) noexcept nogil:
    """repsig: the elements of all lists become signals."""
    cdef Span span
    cdef Entry* e
    if not span_of(u.inputs[0], &span) or not fire_span(u, &span, u.ii):
        return False
    e = send_span(u.outputs[0], RANGE, &span)
    e.data.base = 1
    e.step = 0
    sent_span(u.outputs[0], e, &span, NULL)
    drop_span(u.inputs[0], &span)
    return True


cdef bint bundle_broadcast(Unit* u) noexcept nogil:
    """broadcast: every output gets the same bundle."""
    cdef Span span
    cdef int32_t k
    if not span_of(u.inputs[0], &span) or not fire_span(u, &span, 0):
        return False
    for k in range(u.n_out):
        forward_span(u.outputs[k], head_entry(u.inputs[0]), &span)
    drop_span(u.inputs[0], &span)
    return True


cdef bint bundle_array(Unit* u, ArrayState* s) noexcept nogil:
    """array: a slice, or a loop over the references of all lists."""
    cdef Span span
    cdef Chan* c = u.outputs[0]
    cdef Entry* e
    cdef Block* block = NULL
    cdef float* place
    cdef int64_t i, step, ref
    if u.latency != 1 or c.width != 1 or not span_of(u.inputs[0], &span):
        return False
    e = head_entry(u.inputs[0])
    if e.kind == ABSENT or span.values == 0 or not _in_range(s, e, span.values):
        return False
    if not fire_span(u, &span, u.ii):
        return False
    u.read_bytes += s.bytes * span.values
    if e.kind == RANGE:
        place = <float*> s.values + e.data.base * s.step
        step = e.step * s.step
    else:
        place = <float*> block_space(c, span.values * sizeof(float))
        block = c.current
        step = 1
        for i in range(span.values):
            place[i] = s.values[e.data.ints[i] * s.step]
    _send_strip(c, place, step, block, &span)
    drop_span(u.inputs[0], &span)
    return True


cdef bint _in_range(ArrayState* s, Entry* e, int64_t n) noexcept nogil:
    """Whether all references have a value."""
    cdef int64_t i, first, last
    if e.kind == RANGE:
        first = entry_int(e, 0)
        last = entry_int(e, n - 1)
        return 0 <= min(first, last) and max(first, last) < s.positions
    for i in range(n):
        if not 0 <= e.data.ints[i] < s.positions:
            return False
    return True


cdef void _send_strip(Chan* c, const float* numbers, int64_t step, Block* block,
                      Span* span) noexcept nogil:
    cdef Entry* e = send_span(c, NUMBERS, span)
    e.data.numbers = <float*> numbers
    e.step = step
    sent_span(c, e, span, block)


cdef bint bundle_alu(Unit* u, AluState* s) noexcept nogil:
    """alu: one loop over the operands of all lists."""
    cdef Span span, other
    cdef Chan* c = u.outputs[0]
    cdef Entry* a
    cdef Entry* b = NULL
    cdef float* place
    if u.latency != 1 or s.tile is not NULL or c.width != 1 or not span_of(u.inputs[0], &span):
        return False
    a = head_entry(u.inputs[0])
    if a.kind == ABSENT:
        return False
    if s.arity > 1:
        if not span_of(u.inputs[1], &other) or span.slope != other.slope:
            return False
        b = head_entry(u.inputs[1])
        if b.kind == ABSENT or not common_span(&span, &other):
            return False
        if other.first > span.first:
            span.first = other.first
    if not fire_span(u, &span, u.ii):
        return False
    u.flops += s.flops * span.values
    place = <float*> block_space(c, span.values * sizeof(float))
    apply(s, a.data.numbers, a.step, b.data.numbers if b is not NULL else NULL,
          b.step if b is not NULL else 0, place, span.values, 1)
    _send_strip(c, place, 1, c.current, &span)
    drop_span(u.inputs[0], &span)
    if b is not NULL:
        drop_span(u.inputs[1], &span)
    return True


cdef bint bundle_repeat(Unit* u, bint lookahead) noexcept nogil:
    """repeat: as many lists as find their outer element, and what follows it, in time."""
    cdef Chan* outer = u.inputs[0]
    cdef Chan* signal = u.inputs[1]
    cdef Chan* c = u.outputs[0]
    cdef Span span
    cdef int64_t clock, done = 0, n, values
    cdef int32_t lists = 0
    cdef uint8_t stop
    cdef bint is_number = c.width > 0
    cdef int64_t* ints = NULL
    cdef float* numbers = NULL
    if c.width > 1 or values_left(outer) == 0 or not span_of(signal, &span):
        return False
    if not begin_span(u, &span, head_stamp(outer)):
        return False
    clock = span.first
    values = span.values
    if is_number:
        numbers = <float*> block_space(c, (values + STRIDE) * sizeof(float))
    else:
        ints = <int64_t*> block_space(c, (values + STRIDE) * sizeof(int64_t))
    n = span.n
    stop = span.ctl
    while lists < span.lists:
        if not outer_in_time(outer, clock, clock + n * span.slope, stop, lookahead):
            break
        if is_number:
            fill_numbers(numbers + done, head_number(outer)[0], n)
        else:
            fill_range(ints + done, head_int(outer), 0, n)
        remove_values(outer, 1)
        if stop & 7:
            remove_ctl(outer)
        done += n
        clock += (n + 1) * span.slope
        if lists + 1 < span.lists:
            n = span.marks[lists].n
            stop = <uint8_t> span.marks[lists].ctl
        lists += 1
    if lists == 0:
        return False
    cut_span(&span, lists, done)
    u.clock = clock - span.slope + u.ii
    u.busy += u.ii * (done + lists)
    if is_number:
        _send_strip(c, numbers, 1, c.current, &span)
    else:
        _send_ints(c, ints, &span)
    drop_span(signal, &span)
    return True


cdef void _send_ints(Chan* c, int64_t* ints, Span* span) noexcept nogil:
    cdef Block* block = c.current
    cdef Entry* e = send_span(c, INTS, span)
    e.data.ints = ints
    e.step = 0
    sent_span(c, e, span, block)
