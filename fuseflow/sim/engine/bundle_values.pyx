# SPDX-License-Identifier: MIT
"""Copying streams and computing numbers by bundles: one loop over the values of many lists.

Each rule returns False, having changed nothing, if the rule by lists must take over.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.bundles cimport (
    STRIDE, Span, are_below, begin_span, common_span, cut_span, delay_span, drop_span, end_span,
    fill_numbers, fill_range, fire_span, forward_span, list_length, list_stop, retire_outer,
    sees_outer, send_span, send_span_ints, send_span_numbers, sent_span, span_of,
)
from fuseflow.sim.engine.ring cimport (
    ABSENT, RANGE, Chan, Entry, block_space, entry_int, head_entry, head_int, head_number,
    head_stamp,
)
from fuseflow.sim.engine.runs cimport later_all
from fuseflow.sim.engine.states cimport AluState, ArrayState
from fuseflow.sim.engine.tiles cimport apply
from fuseflow.sim.engine.unit cimport Unit


cdef bint bundle_repsig(Unit* u) noexcept nogil:
    """repsig: the elements of all lists become signals."""
    cdef Span span
    cdef Entry* e
    if not span_of(u.inputs[0], &span):
        return False
    fire_span(u, &span, u.ii)
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
    if not span_of(u.inputs[0], &span):
        return False
    fire_span(u, &span, 0)
    for k in range(u.n_out):
        forward_span(u.outputs[k], head_entry(u.inputs[0]), &span)
    drop_span(u.inputs[0], &span)
    return True


cdef bint bundle_array(Unit* u, ArrayState* s) noexcept nogil:
    """array: a slice, or a loop over the references of all lists."""
    cdef Span span
    cdef Chan* c = u.outputs[0]
    cdef Entry* e
    cdef float* place
    if u.latency != 1 or c.width != 1 or not span_of(u.inputs[0], &span):
        return False
    e = head_entry(u.inputs[0])
    if e.kind == ABSENT or not _in_range(s, e, span.values):
        return False
    fire_span(u, &span, u.ii)
    u.read_bytes += s.bytes * span.values
    if e.kind == RANGE and e.holes is NULL:
        send_span_numbers(c, s.values + e.data.base * s.step, e.step * s.step, NULL, NULL, &span)
    else:
        place = <float*> block_space(c, span.values * sizeof(float))
        if e.holes is NULL:
            _gather(s, e.data.ints, place, span.values)
        else:
            u.read_bytes -= s.bytes * _gather_some(s, e, place, span.values)
        send_span_numbers(c, place, 1, NULL, c.current, &span)
    drop_span(u.inputs[0], &span)
    return True


cdef void _gather(ArrayState* s, const int64_t* refs, float* place, int64_t n) noexcept nogil:
    """Read n values."""
    cdef int64_t i
    for i in range(n):
        place[i] = s.values[refs[i] * s.step]


cdef int64_t _gather_some(ArrayState* s, Entry* e, float* place, int64_t n) noexcept nogil:
    """Read n values, the fill where there is a hole; return how many holes there are."""
    cdef int64_t i, holes = 0
    for i in range(n):
        place[i] = s.fill[0] if e.holes[i] else s.values[entry_int(e, i) * s.step]
        holes += e.holes[i]
    return holes


cdef bint _in_range(ArrayState* s, Entry* e, int64_t n) noexcept nogil:
    """Whether all references, those at holes too, have a value."""
    cdef int64_t i, first, last
    if n == 0:
        return True
    if e.kind == RANGE:
        first = entry_int(e, 0)
        last = entry_int(e, n - 1)
        return 0 <= min(first, last) and max(first, last) < s.positions
    return are_below(e.data.ints, n, s.positions)


cdef bint bundle_alu(Unit* u, AluState* s) noexcept nogil:
    """alu: one loop over the operands of all lists."""
    cdef Span span, other
    cdef Chan* c = u.outputs[0]
    cdef const float* a
    cdef const float* b = NULL
    cdef int64_t step_a, step_b = 0
    cdef float* place
    if u.latency != 1 or s.tile is not NULL or c.width != 1 or not span_of(u.inputs[0], &span):
        return False
    if s.arity > 1:
        if not span_of(u.inputs[1], &other) or not common_span(&span, &other):
            return False
        later_all(u, &span.t, &other.t, span.values + span.lists)
    fire_span(u, &span, u.ii)
    u.flops += s.flops * span.values
    place = <float*> block_space(c, span.values * sizeof(float))
    a = _operand(s, c, head_entry(u.inputs[0]), 0, span.values, &step_a)
    if s.arity > 1:
        b = _operand(s, c, head_entry(u.inputs[1]), 1, span.values, &step_b)
    apply(s, a, step_a, b, step_b, place, span.values, 1)
    send_span_numbers(c, place, 1, NULL, c.current, &span)
    drop_span(u.inputs[0], &span)
    if s.arity > 1:
        drop_span(u.inputs[1], &span)
    return True


cdef const float* _operand(AluState* s, Chan* c, Entry* e, int32_t port, int64_t n,
                           int64_t* step) noexcept nogil:
    """Return where n operands lie and how far apart; holes are filled in a copy, in a block of c.
    """
    cdef int64_t i
    cdef float* filled
    if e.kind == ABSENT:
        step[0] = 0
        return s.fills[port]
    step[0] = e.step
    if e.holes is NULL:
        return e.data.numbers
    filled = <float*> block_space(c, n * sizeof(float))
    for i in range(n):
        filled[i] = s.fills[port][0] if e.holes[i] else e.data.numbers[i * e.step]
    step[0] = 1
    return filled


cdef bint bundle_repeat(Unit* u, bint lookahead) noexcept nogil:
    """repeat: as many lists as find their outer element, and what a stop asks for behind it."""
    cdef Chan* outer = u.inputs[0]
    cdef Chan* c = u.outputs[0]
    cdef Span span
    cdef int64_t done = 0, n, behind
    cdef int32_t lists = 0
    cdef int64_t* ints = NULL
    cdef float* numbers = NULL
    if c.width > 1 or not span_of(u.inputs[1], &span):
        return False
    if not sees_outer(outer, span.ctl, lookahead, &behind):
        return False
    begin_span(u, &span, head_stamp(outer))
    if c.width:
        numbers = <float*> block_space(c, (span.values + STRIDE) * sizeof(float))
    else:
        ints = <int64_t*> block_space(c, (span.values + STRIDE) * sizeof(int64_t))
    while lists < span.lists and sees_outer(outer, list_stop(&span, lists), lookahead, &behind):
        n = list_length(&span, lists)
        if c.width:
            fill_numbers(numbers + done, head_number(outer)[0], n)
        else:
            fill_range(ints + done, head_int(outer), 0, n)
        delay_span(u, &span, done + lists, head_stamp(outer))
        delay_span(u, &span, done + lists + n, behind)
        retire_outer(outer, list_stop(&span, lists))
        done += n
        lists += 1
    cut_span(&span, lists)
    end_span(u, &span)
    if c.width:
        send_span_numbers(c, numbers, 1, NULL, c.current, &span)
    else:
        send_span_ints(c, ints, NULL, c.current, &span)
    drop_span(u.inputs[1], &span)
    return True
