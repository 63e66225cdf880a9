# SPDX-License-Identifier: MIT
"""Bridges between the parts of a machine (see bridges.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.bundles cimport Span, flat_ints, flat_numbers
from fuseflow.sim.engine.parts cimport Bridge, Crew, Part
from fuseflow.sim.engine.pool cimport Block, Pool, block_drop, pool_take
from fuseflow.sim.engine.ring cimport (
    CTL_VALUE, INTS, NO_MORE, NUMBERS, RANGE, WHOLE, Bundle, Chan, Entry, Mark, block_space,
    grow_removals, is_held, new_entry, word_space,
)

cdef enum:
    FIRST_RING = 64  # entries of a new ring
    MOST_ENTRIES = 1024  # a side of a bridge is full at so many entries,
    MOST_HELD = 32768  # or at so many computed values: a round is to be longer than a barrier

cdef int64_t NO_LIMIT = (<int64_t> 1) << 62


# Whose blocks an entry refers to.

cdef int64_t _values_of(Entry* e) noexcept nogil:
    """Return how many values an entry has, in all its lists."""
    return e.n if e.more == NO_MORE else e.n + e.marks.values


cdef int64_t _held_by(Entry* e) noexcept nogil:
    """Return what an entry counts for in `Chan.held`."""
    return _values_of(e) if is_held(e) else 0


cdef void _drop_blocks(Entry* e, Pool* pool) noexcept nogil:
    if e.block is not NULL:
        block_drop(pool, e.block)
    if e.stamp_block is not NULL:
        block_drop(pool, e.stamp_block)
    if e.mark_block is not NULL:
        block_drop(pool, e.mark_block)


cdef void _own_entry(Chan* c, Entry* e) noexcept nogil:
    """Copy what an entry refers to, other than tensors, into blocks of its channel."""
    cdef int64_t stamps = e.n
    cdef int64_t* place
    e.stamp_block = NULL
    e.mark_block = NULL
    if e.more != NO_MORE:
        stamps += e.marks.values + 1 + e.marks.lists
        _own_marks(c, e)
    if e.explicit:
        place = <int64_t*> word_space(c, stamps * sizeof(int64_t))
        memcpy(place, e.stamps, stamps * sizeof(int64_t))
        e.stamps = place
        e.stamp_block = _refer(c)
    if e.block is not NULL:
        if e.rest is not NULL:
            _own_lists(c, e)
        else:
            _own_payload(c, e)
        e.block = _refer(c)


cdef Block* _refer(Chan* c) noexcept nogil:
    """Return the block in which a channel has got space, with one more reference."""
    c.current.refs += 1
    return c.current


cdef void _own_marks(Chan* c, Entry* e) noexcept nogil:
    cdef int64_t size = (e.marks.lists + 1) * sizeof(Mark)
    cdef Bundle* head = <Bundle*> word_space(c, sizeof(Bundle) + size)
    if e.more == WHOLE:
        head[0] = (<Bundle*> e.marks - 1)[0]
    memcpy(head + 1, e.marks, size)
    e.marks = <Mark*> (head + 1)
    e.mark_block = _refer(c)


cdef void _own_payload(Chan* c, Entry* e) noexcept nogil:
    """Copy payload and holes, which lie in one block."""
    cdef int64_t values = _values_of(e)
    cdef int64_t holes = (values + 7) // 8 * 8 if e.holes is not NULL else 0
    cdef int64_t numbers = values if e.step else 1
    cdef int64_t width = c.width * sizeof(float)
    cdef int64_t i
    cdef char* place
    cdef char* behind
    if e.kind == NUMBERS:
        place = <char*> block_space(c, numbers * width + holes)
        if e.step == c.width:
            memcpy(place, e.data.numbers, numbers * width)
        else:
            for i in range(numbers):
                memcpy(place + i * width, e.data.numbers + i * e.step, width)
        e.data.numbers = <float*> place
        e.step = c.width if e.step else 0
        behind = place + numbers * width
    elif e.kind == INTS:
        place = <char*> word_space(c, values * sizeof(int64_t) + holes)
        memcpy(place, e.data.ints, values * sizeof(int64_t))
        e.data.ints = <int64_t*> place
        behind = place + values * sizeof(int64_t)
    else:
        behind = <char*> block_space(c, holes)
    if holes:
        memcpy(behind, e.holes, values)
        e.holes = <uint8_t*> behind


cdef void _own_lists(Chan* c, Entry* e) noexcept nogil:
    """Copy the payloads of the lists of a bundle, one after the other; their values are scalars."""
    cdef Span span
    cdef void* room = word_space(c, _values_of(e) * sizeof(int64_t))
    span.lists = 1 + e.marks.lists
    span.n = e.n
    span.marks = e.marks
    if e.kind == NUMBERS:
        flat_numbers(e, &span, <float*> room, &e.step)
        e.data.numbers = <float*> room
    else:
        flat_ints(e, &span, <int64_t*> room)
        e.data.ints = <int64_t*> room
        e.kind = INTS
    e.rest = NULL


cdef void leave_blocks(Chan* c, Pool* pool) noexcept nogil:
    """Write no more to the blocks that a channel has begun."""
    if c.current is not NULL:
        block_drop(pool, c.current)
    if c.previous is not NULL:
        block_drop(pool, c.previous)
    c.current = NULL
    c.previous = NULL
    c.used = 0


cdef void rehome(Chan* c, Pool* before, Pool* pool) noexcept nogil:
    """Let a channel and all that waits in it belong to another pool."""
    cdef Entry old
    cdef Entry* e
    cdef int64_t i
    leave_blocks(c, before)
    c.pool = pool
    for i in range(c.head, c.tail):
        e = &c.ring[i & c.mask]
        old = e[0]
        _own_entry(c, e)
        c.held += _held_by(e) - _held_by(&old)
        _drop_blocks(&old, before)


# Bridges.

cdef bint bridge_open(Bridge* b, Pool* near, Pool* far) noexcept nogil:
    """Build a bridge; what waits in its channel goes to the far side. False if memory is short.

    The channel belongs to the pool of the whole machine, whose first part has that too.
    """
    cdef Pool* whole = b.near.pool
    cdef Chan* c = b.far
    if c.ring is NULL:
        c.ring = <Entry*> pool_take(whole, FIRST_RING * sizeof(Entry))
        c.mask = FIRST_RING - 1
        c.width = b.near.width
        c.capacity = b.near.capacity
        c.index = b.near.index
        c.depth = -1
        c.crosses = 1
    if c.ring is NULL or not _open_removals(b.near, c, whole):
        return False
    c.pool = far
    c.head = 0
    c.tail = 0
    c.held = 0
    c.pos = 0
    _copy_over(b, NO_LIMIT)
    _forget_copied(b)
    b.near.crosses = 1
    b.near.drained = 0
    b.soft_entries = b.near.soft_entries
    b.soft_held = b.near.soft_held
    b.near.soft_entries = max(b.soft_entries, <int64_t> MOST_ENTRIES)
    b.near.soft_held = max(b.soft_held, <int64_t> MOST_HELD)
    if near is not whole:
        leave_blocks(b.near, whole)
        b.near.pool = near
    b.end[0] = c
    return True


cdef bint _open_removals(Chan* near, Chan* far, Pool* pool) noexcept nogil:
    """Give the far side what is known of removals."""
    cdef int64_t i
    far.sent = near.sent
    far.popped = near.popped
    if far.removal_room < near.removal_room:
        far.removals = <int64_t*> pool_take(pool, near.removal_room * sizeof(int64_t))
        far.removal_room = near.removal_room
        if far.removals is NULL:
            return False
    for i in range(max(<int64_t> 0, near.sent - near.capacity), near.popped):
        far.removals[i & (far.removal_room - 1)] = near.removals[i & (near.removal_room - 1)]
    return True


cdef void bridge_close(Bridge* b, Pool* near, Pool* far, Pool* whole) noexcept nogil:
    """Let the channel have both sides again; no thread uses either."""
    cdef Chan* c = b.near
    _copy_over(b, NO_LIMIT)
    _forget_copied(b)
    leave_blocks(b.far, far)
    if near is not whole:
        leave_blocks(c, near)
        c.pool = whole
    c.ring, b.far.ring = b.far.ring, c.ring
    c.mask, b.far.mask = b.far.mask, c.mask
    c.head = b.far.head
    c.tail = b.far.tail
    c.pos = b.far.pos
    c.held = b.far.held
    c.soft_entries = b.soft_entries
    c.soft_held = b.soft_held
    c.crosses = 0
    b.end[0] = c


cdef void _copy_over(Bridge* b, int64_t most) noexcept nogil:
    """Copy up to so many tokens from the near side, which does not change, to the far side."""
    cdef Chan* near = b.near
    cdef Chan* far = b.far
    cdef Entry* e
    cdef int64_t pos = near.pos
    cdef int64_t left = near.tail - near.head
    far.sent = near.sent
    b.copied = 0
    b.begun = near.pos
    while left and most > 0:
        e = new_entry(far)
        e[0] = near.ring[(near.head + b.copied) & near.mask]
        _cut_front(e, pos)
        most -= _values_of(e) + 1
        if most < 0 and e.n > -most:
            # No bundle: where channels are bounded lists come one by one.
            e.n += <int32_t> most
            e.ctl = CTL_VALUE
            b.begun = pos + e.n
        else:
            b.copied += 1
            b.begun = 0
        _own_entry(far, e)
        far.held += _held_by(e)
        pos = 0
        left -= 1


cdef void _cut_front(Entry* e, int64_t n) noexcept nogil:
    """Let an entry begin n values later."""
    e.n -= <int32_t> n
    if e.kind == INTS:
        e.data.ints += n
    elif e.kind == NUMBERS:
        e.data.numbers += e.step * n
    elif e.kind == RANGE:
        e.data.base += e.step * n
    if e.holes is not NULL:
        e.holes += n
    if e.explicit:
        e.stamps += n
    else:
        e.first += e.slope * n


cdef void _forget_copied(Bridge* b) noexcept nogil:
    """Remove from the near side what the far side has."""
    cdef Chan* c = b.near
    cdef Entry* e
    while b.copied:
        e = &c.ring[c.head & c.mask]
        c.held -= _held_by(e)
        _drop_blocks(e, c.pool)
        c.head += 1
        b.copied -= 1
    c.pos = <int32_t> b.begun


cdef bint learn(Bridge* b) noexcept nogil:
    """Note on the near side when tokens were removed on the far side; whether any were."""
    cdef Chan* near = b.near
    cdef Chan* far = b.far
    cdef bint any_new = near.popped < far.popped
    while near.popped < far.popped:
        if near.popped - (near.sent - near.capacity) >= near.removal_room:
            if not grow_removals(near):
                return any_new
        near.removals[near.popped & (near.removal_room - 1)] = (
            far.removals[near.popped & (far.removal_room - 1)])
        near.popped += 1
    return any_new


cdef void exchange(Crew* crew, int32_t part) noexcept nogil:
    """Bring a part what waits for it on the other sides of its bridges."""
    cdef Part* p = &crew.parts[part]
    cdef Bridge* b
    cdef int32_t k
    p.moved = False
    for k in range(crew.n_bridges):
        b = &crew.bridges[k]
        if b.target == part:
            _fetch(crew, b)
        elif b.source == part and b.near.capacity >= 0 and learn(b):
            crew.net.units[crew.net.producers[b.near.index]].ready = True
            p.moved = True


cdef void _fetch(Crew* crew, Bridge* b) noexcept nogil:
    # Half of a bounded channel at a time: then there is always work for both of its ends.
    cdef int64_t most = NO_LIMIT if b.near.capacity < 0 else b.near.capacity // 2
    b.copied = 0
    b.begun = b.near.pos
    if b.near.head == b.near.tail or _is_full(b.far):
        return
    _copy_over(b, most)
    b.far.fresh = 0
    crew.net.units[crew.net.consumers[b.near.index]].ready = True
    crew.parts[b.target].moved = True


cdef inline bint _is_full(Chan* c) noexcept nogil:
    return c.tail - c.head >= MOST_ENTRIES or c.held >= MOST_HELD


cdef void settle(Crew* crew, int32_t part) noexcept nogil:
    """Make room on the near sides of the bridges that leave a part."""
    cdef Bridge* b
    cdef int32_t k
    for k in range(crew.n_bridges):
        b = &crew.bridges[k]
        if b.source == part and (b.copied or b.begun != b.near.pos):
            _forget_copied(b)
            crew.net.units[crew.net.producers[b.near.index]].ready = True
