# SPDX-License-Identifier: MIT
"""Rings: growth, single tokens, grammar, recording (see ring.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.pool cimport (
    FAULT_MALFORMED, Block, Pool, block_data, block_drop, block_take, pool_resize, pool_take,
    set_fault,
)


cdef bint ring_grow(Chan* c) noexcept nogil:
    """Double the ring; False and a fault if there is no memory."""
    cdef int64_t room = 2 * (c.mask + 1)
    cdef int64_t i
    cdef Entry* larger = <Entry*> pool_take(c.pool, room * sizeof(Entry))
    if larger is NULL:
        return False
    for i in range(c.head, c.tail):
        larger[i & (room - 1)] = c.ring[i & c.mask]
    c.ring = larger
    c.mask = room - 1
    return True


cdef bint grow_removals(Chan* c) noexcept nogil:
    """Double the log of removals, which never needs more than `capacity` places."""
    cdef int64_t room = 2 * c.removal_room if c.removal_room else 64
    cdef int64_t first = c.sent - c.capacity if c.sent > c.capacity else 0
    cdef int64_t i
    cdef int64_t* larger = <int64_t*> pool_take(c.pool, room * sizeof(int64_t))
    if larger is NULL:
        return False
    for i in range(first, c.popped):
        larger[i & (room - 1)] = c.removals[i & (c.removal_room - 1)]
    c.removals = larger
    c.removal_room = room
    return True


cdef void* block_space(Chan* c, int64_t size) noexcept nogil:
    """Return `size` contiguous bytes in the current block, a new one if it is used up.

    The caller adds a reference to `c.current` for each entry that uses the bytes. What was
    returned by the call before stays valid without one.
    """
    size = (size + 3) & ~3  # what follows may be numbers
    if c.current is NULL or c.used + size > c.pool.block_bytes:
        if c.previous is not NULL:
            block_drop(c.pool, c.previous)
        c.previous = c.current
        c.current = block_take(c.pool)
        c.used = 0
    c.used += size
    return block_data(c.current) + c.used - size


cdef void* word_space(Chan* c, int64_t size) noexcept nogil:
    """Return `size` contiguous bytes like `block_space`, where integers and structs may lie.

    Numbers take four bytes each, and lie side by side to go on as one run.
    """
    c.used = (c.used + 7) & ~7
    return block_space(c, size)


cdef Entry* _value_entry(Chan* c, int64_t stamp) noexcept nogil:
    """Append an entry of one value with this stamp."""
    cdef Entry* e = new_entry(c)
    e.n = 1
    e.ctl = CTL_VALUE
    e.explicit = AFFINE
    e.first = stamp
    e.slope = 0
    e.step = 0
    e.block = NULL
    e.stamp_block = NULL
    return e


cdef inline bint _extends_stamps(Entry* e, int64_t stamp) noexcept nogil:
    """Whether one more value with this stamp fits the affine stamps of the entry."""
    return not e.explicit and (e.n == 1 or stamp == e.first + e.slope * e.n)


cdef inline void _extend(Entry* e, int64_t stamp) noexcept nogil:
    if e.n == 1:
        e.slope = stamp - e.first
    e.n += 1


cdef void put_int(Chan* c, int64_t value, int64_t stamp) noexcept nogil:
    """Append a coordinate, a reference or a signal; regular ones become a run."""
    cdef Entry* e = open_entry(c)
    if c.record is not NULL:
        record_token(c, CTL_VALUE, value, NULL, stamp)
    if c.depth >= 0:
        check_value(c)
    c.values += 1
    c.fresh = 1
    if e is not NULL and e.kind == RANGE and e.n < RUN_LIMIT and _extends_stamps(e, stamp):
        if e.n == 1:
            e.step = value - e.data.base
        if value == e.data.base + e.step * e.n:
            _extend(e, stamp)
            return
    e = _value_entry(c, stamp)
    e.kind = RANGE
    e.data.base = value


cdef void put_number(Chan* c, const float* value, int64_t stamp) noexcept nogil:
    """Append a copy of a number or tile."""
    cdef Entry* e = open_entry(c)
    cdef float* place
    if c.record is not NULL:
        record_token(c, CTL_VALUE, 0, <float*> value, stamp)
    if c.depth >= 0:
        check_value(c)
    c.values += 1
    c.fresh = 1
    place = <float*> block_space(c, c.width * sizeof(float))
    memcpy(place, value, c.width * sizeof(float))
    if (e is not NULL and e.kind == NUMBERS and e.block is c.current and e.step == c.width
            and e.data.numbers + e.n * e.step == place and _extends_stamps(e, stamp)):
        _extend(e, stamp)
        c.held += 1
        return
    e = _value_entry(c, stamp)
    e.kind = NUMBERS
    e.data.numbers = place
    e.step = c.width
    e.block = c.current
    c.current.refs += 1
    c.held += 1


cdef void put_missing(Chan* c, int64_t stamp) noexcept nogil:
    """Append a missing token."""
    cdef Entry* e = open_entry(c)
    if c.record is not NULL:
        record_token(c, CTL_MISSING, 0, NULL, stamp)
    if c.depth >= 0:
        check_value(c)
    c.missing += 1
    c.fresh = 1
    if e is not NULL and e.kind == ABSENT and e.n < RUN_LIMIT and _extends_stamps(e, stamp):
        _extend(e, stamp)
        return
    e = _value_entry(c, stamp)
    e.kind = ABSENT


cdef void refuse_value(Chan* c) noexcept nogil:
    set_fault(c.pool, FAULT_MALFORMED, c.index, CTL_VALUE, c.values + c.missing + c.stops)


cdef void check_stop(Chan* c, uint8_t ctl) noexcept nogil:
    """Check a control token against the grammar of nested lists."""
    cdef int32_t n = ctl & 7
    cdef int32_t e = (ctl >> 3) & 7
    cdef bint good
    if ctl == CTL_DONE:
        good = c.closed and not c.done
    else:
        good = not c.closed and e <= n < c.depth
        good = good and (e == 0 if c.state < 0 else e <= c.state)
        c.state = n
        c.closed = n == c.depth - 1
    if not good:
        set_fault(c.pool, FAULT_MALFORMED, c.index, ctl, c.values + c.missing + c.stops)


cdef bint _record_room(Chan* c, int64_t more) noexcept nogil:
    cdef Record* r = c.record
    cdef int64_t room = r.room
    cdef int64_t size = 4 * c.width if c.width else 8
    if r.count + more <= room:
        return True
    while room < r.count + more:
        room = 2 * room if room else 64
    r.ctl = <uint8_t*> pool_resize(c.pool, r.ctl, room)
    r.stamps = <int64_t*> pool_resize(c.pool, r.stamps, 8 * room)
    r.data = <char*> pool_resize(c.pool, r.data, size * room)
    r.room = room
    return r.ctl is not NULL and r.stamps is not NULL and r.data is not NULL


cdef void record_token(Chan* c, uint8_t ctl, int64_t data, float* number,
                       int64_t stamp) noexcept nogil:
    """Remember one token; `number` holds the value of a VAL channel, else `data` does."""
    cdef Record* r = c.record
    cdef int32_t i
    cdef float* place
    if not _record_room(c, 1):
        return
    r.ctl[r.count] = ctl
    r.stamps[r.count] = stamp
    if c.width:
        place = <float*> r.data + r.count * c.width
        for i in range(c.width):
            place[i] = 0 if number is NULL else number[i]
    else:
        (<int64_t*> r.data)[r.count] = data
    r.count += 1


cdef void next_list(Chan* c, Entry* e) noexcept nogil:
    """Go on to the next list of the bundle at the head."""
    c.held -= e.n
    skip_lists(e, 1, e.n)
    c.pos = 0


cdef void skip_lists(Entry* e, int64_t lists, int64_t values) noexcept nogil:
    """Let the entry of a bundle begin so many lists, with so many values, further on."""
    cdef Mark* mark = e.marks + (lists - 1)
    e.data = payload_of(e, lists, values)
    if e.rest is not NULL:
        e.rest += lists
    if e.holes is not NULL:
        e.holes += values
    e.n = mark.n
    e.ctl = mark.ctl
    if e.explicit:
        e.stamps += values + lists
    else:
        e.first += e.slope * (values + lists)
    e.ctl_stamp = entry_stamp(e, e.n)
    e.marks = mark + 1
    e.more = REST if (mark + 1).ctl != CTL_VALUE else NO_MORE


cdef int64_t stretch(Entry* e, int64_t at) noexcept nogil:
    """Return how many values from `at` on are all there, or are all missing."""
    cdef int64_t end = at + 1
    while end < e.n and e.holes[end] == e.holes[at]:
        end += 1
    return min(end, e.n) - at


cdef void record_removal(Chan* c, int64_t clock) noexcept nogil:
    """Remember when the token at the head was removed."""
    cdef Record* r = c.record
    cdef int64_t room = 2 * r.removal_room if r.removal_room else 64
    cdef int64_t* larger
    if r.removed == r.removal_room:
        larger = <int64_t*> pool_resize(c.pool, r.removals, 8 * room)
        if larger is NULL:
            return
        r.removals = larger
        r.removal_room = room
    r.removals[r.removed] = clock
    r.removed += 1


cdef void record_run(Chan* c, Entry* e) noexcept nogil:
    """Remember the values of an entry."""
    cdef int64_t i
    cdef int64_t stamp
    for i in range(e.n):
        stamp = entry_stamp(e, i)
        if is_missing(e, i):
            record_token(c, CTL_MISSING, 0, NULL, stamp)
        elif e.kind == NUMBERS:
            record_token(c, CTL_VALUE, 0, e.data.numbers + e.step * i, stamp)
        else:
            record_token(c, CTL_VALUE, entry_int(e, i), NULL, stamp)
