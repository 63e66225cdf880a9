# SPDX-License-Identifier: MIT
"""Bundles: several lists in one entry (see bundles.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.pool cimport Block
from fuseflow.sim.engine.ring cimport (
    ABSENT, CTL_STOP, CTL_VALUE, INTS, NO_MORE, NUMBERS, WHOLE, Bundle, Chan, Entry, Mark, Payload,
    check_stop, check_value, entry_stamp, head_entry, is_held, new_entry, next_list, payload_of,
    record_run, record_token, remove_entry, skip_lists, word_space,
)
from fuseflow.sim.engine.runs cimport Times, arrivals, fire_all, set_stamps, time_of
from fuseflow.sim.engine.unit cimport Unit


cdef bint span_of(Chan* c, Span* s) noexcept nogil:
    """Describe the bundle at the head of a channel; False if there is none at its beginning."""
    cdef Entry* e
    if c.head == c.tail or c.pos:
        return False
    e = head_entry(c)
    if e.more == NO_MORE:
        return False
    s.n = e.n
    s.ctl = e.ctl
    s.marks = e.marks
    s.block = e.mark_block
    s.t = arrivals(c)
    s.whole = e.more == WHOLE
    s.lists = 1 + s.marks.lists
    s.values = e.n + s.marks.values
    return True


cdef bint common_span(Span* a, Span* b) noexcept nogil:
    """Cut two spans to the lists that they share; False if not even the first one is the same."""
    cdef int32_t lists
    if a.n != b.n or a.ctl != b.ctl:
        return False
    if a.marks is b.marks and a.lists == b.lists:
        return True
    lists = 1
    while lists < min(a.lists, b.lists):
        if (a.marks[lists - 1].n != b.marks[lists - 1].n
                or a.marks[lists - 1].ctl != b.marks[lists - 1].ctl):
            break
        lists += 1
    cut_span(a, lists)
    cut_span(b, lists)
    return True


cdef void cut_span(Span* s, int32_t lists) noexcept nogil:
    """Keep the first lists of a span."""
    if lists < s.lists:
        s.values -= s.marks[lists - 1].values - _values_behind(s)
        s.lists = lists
        s.whole = False


cdef inline int64_t _values_behind(Span* s) noexcept nogil:
    """Return how many values the bundle has behind the lists of the span."""
    return s.marks[s.lists - 1].values


cdef void fire_span(Unit* u, Span* s, int64_t cost) noexcept nogil:
    """Fire once per token: the span's times become those of firing."""
    fire_all(u, &s.t, cost, u.clock, tokens_of(s))
    u.clock = time_of(&s.t, tokens_of(s) - 1) + cost
    u.busy += cost * tokens_of(s)


cdef void begin_span(Unit* u, Span* s, int64_t arrival) noexcept nogil:
    """Like `fire_span` with a further arrival before the first token; `end_span` sets the clock."""
    fire_all(u, &s.t, u.ii, max(u.clock, arrival), tokens_of(s))


cdef void end_span(Unit* u, Span* s) noexcept nogil:
    """Let the time of all tokens of a span pass."""
    u.clock = time_of(&s.t, tokens_of(s) - 1) + u.ii
    u.busy += u.ii * tokens_of(s)


cdef int64_t start_of_array(Span* s, int64_t at, int64_t n, int64_t cost) noexcept nogil:
    """`start_of` for times that are an array."""
    cdef Times* t = &s.t
    cdef int64_t i, latest
    if t.strict and cost <= 1:
        return time_of(t, at + n - 1) - cost * (n - 1)
    latest = time_of(t, at)
    for i in range(1, n):
        latest = max(latest, time_of(t, at + i) - cost * i)
    return latest


cdef Mark* new_marks(Chan* c, int32_t lists) noexcept nogil:
    """Return room in a block of c for the marks of so many lists."""
    return <Mark*> (<Bundle*> word_space(
        c, sizeof(Bundle) + lists * sizeof(Mark)) + 1)


cdef void close_marks(Mark* marks, Span* s) noexcept nogil:
    """Complete the marks of a span and the head before them."""
    cdef Bundle* head = <Bundle*> marks - 1
    cdef int32_t i, level = s.ctl & 7
    head.lists = s.lists
    head.values = <int32_t> s.values
    head.top = level
    for i in range(s.lists - 1):
        level = marks[i].ctl & 7
        if level > head.top:
            head.top = level
    head.last = level
    marks[s.lists - 1].n = 0
    marks[s.lists - 1].ctl = CTL_VALUE
    marks[s.lists - 1].lists = 0
    marks[s.lists - 1].values = 0
    for i in range(s.lists - 2, -1, -1):
        marks[i].lists = marks[i + 1].lists + 1
        marks[i].values = marks[i + 1].values + marks[i].n


cdef Entry* send_span(Chan* c, uint8_t kind, Span* s) noexcept nogil:
    """Append a bundle with these lists and times; the caller sets payload and step, then calls
    `sent_span`.
    """
    cdef Entry* e
    cdef Mark* marks = s.marks
    cdef Block* block = s.block
    if s.lists > 1 and not s.whole:
        marks = new_marks(c, s.lists)
        memcpy(marks, s.marks, (s.lists - 1) * sizeof(Mark))
        close_marks(marks, s)
        block = c.current
    e = new_entry(c)
    e.n = s.n
    e.kind = kind
    e.ctl = s.ctl
    e.more = WHOLE if s.lists > 1 else NO_MORE
    e.marks = marks
    set_stamps(e, &s.t, 1)
    e.ctl_stamp = entry_stamp(e, e.n)
    if s.lists > 1:
        e.mark_block = block
        block.refs += 1
    return e


cdef void sent_span(Chan* c, Entry* e, Span* s, Block* block) noexcept nogil:
    """Account for a bundle that was appended and whose payload lies in `block`."""
    cdef Bundle* head = <Bundle*> e.marks - 1
    e.block = block
    if block is not NULL:
        block.refs += 1
    if is_held(e):
        c.held += s.values
    _count_values(c, e, s.values)
    c.stops += s.lists
    if c.depth >= 0:
        if s.lists > 1 and head.top < c.depth - 1 and not c.closed:
            c.state = head.last
        else:
            _check_lists(c, e, s)
    if c.record is not NULL:
        _record_lists(c, e, s)


cdef inline void _count_values(Chan* c, Entry* e, int64_t n) noexcept nogil:
    cdef int64_t i, missing = n if e.kind == ABSENT else 0
    if e.holes is not NULL:
        for i in range(n):
            missing += e.holes[i]
    c.missing += missing
    c.values += n - missing


cdef void _check_lists(Chan* c, Entry* e, Span* s) noexcept nogil:
    cdef int32_t i
    cdef Mark* marks = e.marks
    if s.n:
        check_value(c)
    check_stop(c, s.ctl)
    for i in range(s.lists - 1):
        if marks[i].n:
            check_value(c)
        check_stop(c, marks[i].ctl)


cdef void _record_lists(Chan* c, Entry* e, Span* s) noexcept nogil:
    """Record list after list, on a copy of the entry."""
    cdef Entry copy = e[0]
    cdef int64_t held = c.held
    cdef int32_t pos = c.pos
    cdef int32_t i
    for i in range(s.lists):
        record_run(c, &copy)
        record_token(c, copy.ctl, 0, NULL, copy.ctl_stamp)
        if i + 1 < s.lists:
            next_list(c, &copy)
    c.held = held
    c.pos = pos


cdef void drop_span(Chan* c, Span* s) noexcept nogil:
    """Remove the lists of a span, which stand at the head."""
    cdef Entry* e = head_entry(c)
    cdef Mark* mark = e.marks + (s.lists - 1)
    c.drained = 1
    if mark.ctl == CTL_VALUE:
        c.held -= s.values - e.n
        e.more = NO_MORE
        remove_entry(c)
        return
    c.held -= s.values
    skip_lists(e, s.lists, s.values)


cdef void forward_span(Chan* c, Entry* source, Span* s) noexcept nogil:
    """Append the lists of a span with the payload of another ring's entry."""
    cdef Entry* e
    if c is NULL:
        return
    e = send_span(c, source.kind, s)
    e.data = source.data
    e.rest = source.rest
    e.step = source.step
    e.holes = source.holes
    sent_span(c, e, s, source.block)


cdef void send_span_ints(Chan* c, int64_t* ints, const uint8_t* holes, Block* block,
                         Span* s) noexcept nogil:
    """Append the lists of a span with coordinates or references that lie in an array."""
    cdef Entry* e = send_span(c, INTS, s)
    e.data.ints = ints
    e.step = 0
    e.holes = holes
    sent_span(c, e, s, block)


cdef void send_span_numbers(Chan* c, const float* numbers, int64_t step, const uint8_t* holes,
                            Block* block, Span* s) noexcept nogil:
    """Append the lists of a span with numbers that lie in an array, `step` floats apart."""
    cdef Entry* e = send_span(c, NUMBERS, s)
    e.data.numbers = <float*> numbers
    e.step = step
    e.holes = holes
    sent_span(c, e, s, block)


cdef Payload* new_payloads(Chan* c, int64_t lists, int64_t more) noexcept nogil:
    """Return room in a block of c for the payloads of some lists, and for so many bytes behind."""
    return <Payload*> word_space(c, lists * sizeof(Payload) + more)


cdef void send_lists(Chan* c, uint8_t kind, const Payload* payloads, int64_t step, Block* block,
                     Span* s) noexcept nogil:
    """Append the lists of a span, each with its own payload, RANGE, INTS or NUMBERS."""
    cdef Entry* e = send_span(c, kind, s)
    e.data = payloads[0]
    e.rest = payloads + 1
    e.step = step
    sent_span(c, e, s, block)


cdef const int64_t* flat_ints(Entry* e, Span* s, int64_t* room) noexcept nogil:
    """Return the integers of all lists one after the other; in `room` unless they lie like that."""
    cdef int64_t i, n, done = 0
    cdef int32_t k
    cdef Payload p
    if e.kind == INTS and e.rest is NULL:
        return e.data.ints
    for k in range(s.lists):
        n = list_length(s, k)
        p = payload_of(e, k, done)
        for i in range(n):
            room[done + i] = p.ints[i] if e.kind == INTS else p.base + e.step * i
        done += n
    return room


cdef const float* flat_numbers(Entry* e, Span* s, float* room, int64_t* step) noexcept nogil:
    """Return the numbers of all lists one after the other; in `room` unless they lie like that."""
    cdef int64_t i, n, done = 0
    cdef int32_t k
    cdef Payload p
    if e.rest is NULL:
        step[0] = e.step
        return e.data.numbers
    for k in range(s.lists):
        n = list_length(s, k)
        p = payload_of(e, k, done)
        for i in range(n):
            room[done + i] = p.numbers[e.step * i]
        done += n
    step[0] = 1
    return room
