# SPDX-License-Identifier: MIT
"""Bundles: several lists in one entry (see bundles.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.pool cimport Block
from fuseflow.sim.engine.ring cimport (
    ABSENT, AFFINE, CTL_VALUE, INTS, NO_MORE, NUMBERS, RANGE, REST, WHOLE, Bundle, Chan, Entry,
    Mark,
    block_space, check_stop, check_value, head_entry, new_entry, next_list, record_run,
    record_token, remove_entry,
)
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
    s.marks = <Mark*> e.stamps
    s.block = e.stamp_block
    s.first = e.first
    s.slope = e.slope
    s.whole = e.more == WHOLE
    s.lists = 1 + s.marks.lists
    s.values = e.n + s.marks.values
    return True


cdef bint common_span(Span* a, Span* b) noexcept nogil:
    """Cut two spans to the lists that they share; False if not even the first one is the same."""
    cdef int32_t lists, i
    cdef int64_t values
    if a.n != b.n or a.ctl != b.ctl:
        return False
    if a.marks is b.marks and a.lists == b.lists:
        return True
    lists = 1
    values = a.n
    while lists < min(a.lists, b.lists):
        i = lists - 1
        if a.marks[i].n != b.marks[i].n or a.marks[i].ctl != b.marks[i].ctl:
            break
        values += a.marks[i].n
        lists += 1
    a.whole = a.whole and lists == a.lists
    b.whole = b.whole and lists == b.lists
    a.lists = lists
    b.lists = lists
    a.values = values
    b.values = values
    return True


cdef bint fire_span(Unit* u, Span* s, int64_t cost) noexcept nogil:
    """Fire once per token: the span's stamps become the times of firing.

    False if these are not affine: the rule by lists must take over.
    """
    cdef int64_t tokens = s.values + s.lists
    if s.slope <= cost:
        if u.clock > s.first:
            s.first = u.clock
        s.slope = cost
    elif u.clock > s.first:
        return False
    u.clock = s.first + s.slope * (tokens - 1) + cost
    u.busy += cost * tokens
    return True


cdef bint begin_span(Unit* u, Span* s, int64_t arrival) noexcept nogil:
    """Like `fire_span` with a further arrival before the first token; the clock stays."""
    cdef int64_t clock = max(u.clock, arrival)
    if s.slope <= u.ii:
        s.first = max(clock, s.first)
        s.slope = u.ii
        return True
    return clock <= s.first


cdef Mark* new_marks(Chan* c, int32_t lists) noexcept nogil:
    """Return room in a block of c for the marks of so many lists."""
    return <Mark*> (<Bundle*> block_space(
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
    e.explicit = AFFINE
    e.more = WHOLE if s.lists > 1 else NO_MORE
    e.stamps = <int64_t*> marks
    e.first = s.first + 1
    e.slope = s.slope
    e.ctl_stamp = e.first + e.slope * e.n
    e.stamp_block = NULL
    if s.lists > 1:
        e.stamp_block = block
        block.refs += 1
    return e


cdef void sent_span(Chan* c, Entry* e, Span* s, Block* block) noexcept nogil:
    """Account for a bundle that was appended and whose payload lies in `block`."""
    cdef Bundle* head = <Bundle*> e.stamps - 1
    e.block = block
    if block is not NULL:
        block.refs += 1
    if block is not NULL or e.stamp_block is not NULL:
        c.held += s.values
    if e.kind == ABSENT:
        c.missing += s.values
    else:
        c.values += s.values
    c.stops += s.lists
    if c.depth >= 0:
        if s.lists > 1 and head.top < c.depth - 1 and not c.closed:
            c.state = head.last
        else:
            _check_lists(c, e, s)
    if c.record is not NULL:
        _record_lists(c, e, s)


cdef void _check_lists(Chan* c, Entry* e, Span* s) noexcept nogil:
    cdef int32_t i
    cdef Mark* marks = <Mark*> e.stamps
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
    cdef Mark* mark = <Mark*> e.stamps + (s.lists - 1)
    c.drained = 1
    if mark.ctl == CTL_VALUE:
        c.held -= s.values - e.n
        e.more = NO_MORE
        remove_entry(c)
        return
    c.held -= s.values
    if e.kind == INTS:
        e.data.ints += s.values
    elif e.kind == NUMBERS:
        e.data.numbers += e.step * s.values
    elif e.kind == RANGE:
        e.data.base += e.step * s.values
    e.first += e.slope * (s.values + s.lists)
    e.n = mark.n
    e.ctl = mark.ctl
    e.ctl_stamp = e.first + e.slope * e.n
    e.stamps = <int64_t*> (mark + 1)
    e.more = REST if (mark + 1).ctl != CTL_VALUE else NO_MORE


cdef void forward_span(Chan* c, Entry* source, Span* s) noexcept nogil:
    """Append the lists of a span with the payload of another ring's entry."""
    cdef Entry* e
    if c is NULL:
        return
    e = send_span(c, source.kind, s)
    e.data = source.data
    e.step = source.step
    sent_span(c, e, s, source.block)
