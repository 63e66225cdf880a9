# SPDX-License-Identifier: MIT
"""Copying streams and computing numbers by bundles: one loop over the values of many lists.

Each rule returns False, having changed nothing, if the rule by lists must take over.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.bundles cimport (
    STRIDE, Span, are_below, are_long, begin_span, common_span, cut_span, delay_span, drop_span,
    end_span, fill_numbers, fill_range, fire_span, flat_numbers, forward_span, list_length,
    list_stop, new_payloads, retire_outer, sees_outer, send_lists, send_span, send_span_ints,
    send_span_numbers, sent_span, span_of,
)
from fuseflow.sim.engine.pool cimport Block
from fuseflow.sim.engine.ring cimport (
    ABSENT, INTS, NUMBERS, RANGE, Chan, Entry, Payload, block_space, entry_int, head_entry,
    head_int, head_number, head_stamp, payload_of, word_space,
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
    """array: slices, or loops over the references."""
    cdef Span span
    cdef Chan* c = u.outputs[0]
    cdef Entry* e
    if u.latency != 1 or c.width != 1 or not span_of(u.inputs[0], &span):
        return False
    e = head_entry(u.inputs[0])
    if e.kind == ABSENT or not _in_range(s, e, &span):
        return False
    fire_span(u, &span, u.ii)
    u.read_bytes += s.bytes * span.values
    if e.kind == RANGE and e.holes is NULL and e.rest is NULL:
        send_span_numbers(c, s.values + e.data.base * s.step, e.step * s.step, NULL, NULL, &span)
    elif e.kind == RANGE and e.holes is NULL:
        _send_slices(s, c, e, &span)
    else:
        _send_gathered(u, s, c, e, &span)
    drop_span(u.inputs[0], &span)
    return True


cdef void _send_slices(ArrayState* s, Chan* c, Entry* e, Span* span) noexcept nogil:
    """Send one slice of the values per list."""
    cdef Payload* slices = new_payloads(c, span.lists, 0)
    cdef int32_t k
    for k in range(span.lists):
        slices[k].numbers = <float*> s.values + payload_of(e, k, 0).base * s.step
    send_lists(c, NUMBERS, slices, e.step * s.step, c.current, span)


cdef void _send_gathered(Unit* u, ArrayState* s, Chan* c, Entry* e, Span* span) noexcept nogil:
    """Send values from all over the array, the fill where there is a hole."""
    cdef float* place = <float*> block_space(c, span.values * sizeof(float))
    cdef int64_t n, done = 0
    cdef int32_t k
    if e.holes is not NULL:
        u.read_bytes -= s.bytes * _gather_some(s, e, place, span.values)
    elif e.rest is NULL:
        _gather(s, e.data.ints, place, span.values)
    else:
        for k in range(span.lists):
            n = list_length(span, k)
            _gather(s, payload_of(e, k, done).ints, place + done, n)
            done += n
    send_span_numbers(c, place, 1, NULL, c.current, span)


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


cdef bint _in_range(ArrayState* s, Entry* e, Span* span) noexcept nogil:
    """Whether all references, those at holes too, have a value."""
    cdef int64_t n, done = 0
    cdef int32_t k
    if e.rest is NULL:
        return _are_stored(s, e, e.data, span.values)
    for k in range(span.lists):
        n = list_length(span, k)
        if not _are_stored(s, e, payload_of(e, k, done), n):
            return False
        done += n
    return True


cdef inline bint _are_stored(ArrayState* s, Entry* e, Payload p, int64_t n) noexcept nogil:
    cdef int64_t last
    if n == 0:
        return True
    if e.kind == INTS:
        return are_below(p.ints, n, s.positions)
    last = p.base + e.step * (n - 1)
    return 0 <= min(p.base, last) and max(p.base, last) < s.positions


cdef bint bundle_alu(Unit* u, AluState* s) noexcept nogil:
    """alu: one loop over the operands of all lists."""
    cdef Span span, other
    cdef Chan* c = u.outputs[0]
    cdef float* place
    cdef Block* block
    if u.latency != 1 or s.tile is not NULL or c.width != 1 or not span_of(u.inputs[0], &span):
        return False
    if s.arity > 1:
        if not span_of(u.inputs[1], &other) or not common_span(&span, &other):
            return False
        later_all(u, &span.t, &other.t, span.values + span.lists)
    fire_span(u, &span, u.ii)
    u.flops += s.flops * span.values
    place = <float*> block_space(c, span.values * sizeof(float))
    block = c.current  # copies of operands may go to the next one
    _compute(s, c, head_entry(u.inputs[0]), head_entry(u.inputs[1]) if s.arity > 1 else NULL,
             &span, place)
    send_span_numbers(c, place, 1, NULL, block, &span)
    drop_span(u.inputs[0], &span)
    if s.arity > 1:
        drop_span(u.inputs[1], &span)
    return True


cdef void _compute(AluState* s, Chan* c, Entry* left, Entry* right, Span* span,
                   float* place) noexcept nogil:
    """Apply the function to all values: in one loop, or list by list where lists lie apart."""
    cdef int64_t n, step_a, step_b = 0, done = 0
    cdef int32_t k
    cdef const float* a = _operand(s, c, left, 0, span, &step_a)
    cdef const float* b = NULL
    if right is not NULL:
        b = _operand(s, c, right, 1, span, &step_b)
    if a is not NULL and (b is not NULL or right is NULL):
        apply(s, a, step_a, b, step_b, place, span.values, 1)
        return
    for k in range(span.lists):
        n = list_length(span, k)
        apply(s, _list_operand(left, a, step_a, k, done), step_a,
              _list_operand(right, b, step_b, k, done), step_b, place + done, n, 1)
        done += n


cdef const float* _operand(AluState* s, Chan* c, Entry* e, int32_t port, Span* span,
                           int64_t* step) noexcept nogil:
    """Return where the operands of all lists lie and how far apart; NULL if lists lie apart.

    Short lists that lie apart are put together, and holes are filled, in a copy in a block of c.
    """
    cdef int64_t i
    cdef float* room
    step[0] = e.step
    if e.kind == ABSENT:
        step[0] = 0
        return s.fills[port]
    if e.rest is not NULL and are_long(span):
        return NULL
    if e.rest is NULL and e.holes is NULL:
        return e.data.numbers
    room = <float*> block_space(c, span.values * sizeof(float))
    if e.rest is not NULL:
        return flat_numbers(e, span, room, step)
    for i in range(span.values):
        room[i] = s.fills[port][0] if e.holes[i] else e.data.numbers[i * e.step]
    step[0] = 1
    return room


cdef inline const float* _list_operand(Entry* e, const float* flat, int64_t step, int32_t list,
                                       int64_t before) noexcept nogil:
    """Return where the operands of one list lie."""
    if flat is not NULL:
        return flat + step * before
    return NULL if e is NULL else payload_of(e, list, before).numbers


cdef bint bundle_repeat(Unit* u, bint lookahead) noexcept nogil:
    """repeat: as many lists as find their outer element, and what a stop asks for behind it."""
    cdef Chan* outer = u.inputs[0]
    cdef Chan* c = u.outputs[0]
    cdef Span span
    cdef int64_t done = 0, n, behind
    cdef int32_t lists = 0
    cdef Payload* elements
    cdef Block* block
    if c.width > 1 or not span_of(u.inputs[1], &span):
        return False
    if not sees_outer(outer, span.ctl, lookahead, &behind):
        return False
    begin_span(u, &span, head_stamp(outer))
    elements = new_payloads(c, span.lists, span.lists * sizeof(float))
    block = c.current  # times may go to the next one
    while lists < span.lists and sees_outer(outer, list_stop(&span, lists), lookahead, &behind):
        n = list_length(&span, lists)
        if c.width:
            elements[lists].numbers = <float*> (elements + span.lists) + lists
            elements[lists].numbers[0] = head_number(outer)[0]
        else:
            elements[lists].base = head_int(outer)
        delay_span(u, &span, done + lists, head_stamp(outer))
        delay_span(u, &span, done + lists + n, behind)
        retire_outer(outer, list_stop(&span, lists))
        done += n
        lists += 1
    cut_span(&span, lists)
    end_span(u, &span)
    if are_long(&span):
        send_lists(c, NUMBERS if c.width else RANGE, elements, 0, block, &span)
    elif c.width:
        _send_copies_of_numbers(c, elements, &span)
    else:
        _send_copies(c, elements, &span)
    drop_span(u.inputs[1], &span)
    return True


cdef void _send_copies(Chan* c, const Payload* elements, Span* span) noexcept nogil:
    """Send each element as often as its list is long."""
    cdef int64_t* place = <int64_t*> word_space(c, (span.values + STRIDE) * sizeof(int64_t))
    cdef int64_t n, done = 0
    cdef int32_t k
    for k in range(span.lists):
        n = list_length(span, k)
        fill_range(place + done, elements[k].base, 0, n)
        done += n
    send_span_ints(c, place, NULL, c.current, span)


cdef void _send_copies_of_numbers(Chan* c, const Payload* elements, Span* span) noexcept nogil:
    cdef float* place = <float*> block_space(c, (span.values + STRIDE) * sizeof(float))
    cdef int64_t n, done = 0
    cdef int32_t k
    for k in range(span.lists):
        n = list_length(span, k)
        fill_numbers(place + done, elements[k].numbers[0], n)
        done += n
    send_span_numbers(c, place, 1, NULL, c.current, span)
