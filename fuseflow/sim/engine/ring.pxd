# SPDX-License-Identifier: MIT
"""Rings: how the engine keeps the tokens of one channel.

An entry is a run of values, then possibly one control token that ends it (a stop or the done
token). A fiber is thus one entry. The payload of a run is a range, a slice of an array (of a
tensor or of a block), or nothing for missing tokens; its stamps are affine or an array. A payload
may have holes: missing tokens here and there. Who does not care takes stretch after stretch.

Entry invariant: between calls no entry at the head is used up, so every entry has a next token.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.pool cimport Block, Pool, block_drop


cdef enum Control:
    CTL_VALUE = 0  # in an entry: no control token
    CTL_MISSING = 1
    CTL_DONE = 2
    CTL_STOP = 0x80


cdef enum PayloadKind:
    RANGE  # base, base + step, ..
    INTS  # ints[0], ints[1], ..
    NUMBERS  # numbers[0], numbers[step], .. each of the channel's width
    ABSENT  # missing tokens


cdef enum Stamping:
    AFFINE
    ARRAY
    RISING  # an array that rises by at least one from value to value


cdef enum Following:
    NO_MORE
    REST  # `marks` is the next mark of a bundle
    WHOLE  # and the bundle's head is right before it


cdef enum:
    RUN_LIMIT = 1024  # values of an entry whose payload or stamps lie in a block


cdef union Payload:
    int64_t base
    int64_t* ints
    float* numbers


cdef struct Mark:
    # One list of a bundle: an entry with several lists, whose stamps are affine over all tokens,
    # stops included, or one array for all. Their payload goes on from list to list, or each list
    # has its own. The entry's own fields are the list at its head, so whoever does not care takes
    # list after list.
    int32_t n  # values
    int32_t ctl  # stop that ends it; CTL_VALUE ends the marks
    int32_t lists  # from this one to the end
    int32_t values  # in them


cdef struct Bundle:
    int32_t lists
    int32_t values
    int32_t top  # highest level of its stops, none of which is marked
    int32_t last  # level of its last stop
    # Marks of the lists but the first, and the end, follow.


cdef struct Entry:
    int32_t n  # values
    uint8_t kind  # PayloadKind of the values
    uint8_t ctl  # control token after the values, CTL_VALUE for none
    uint8_t explicit  # stamps: Stamping
    uint8_t more  # further lists follow, see Mark: Following
    Payload data
    const Payload* rest  # of the lists behind that at the head; NULL: each goes on where one ends
    int64_t step  # RANGE: increment; NUMBERS: distance in floats, 0 repeats one value
    const uint8_t* holes  # holes[i]: value i is missing; NULL for none
    Mark* marks  # of a bundle: the next one
    int64_t* stamps  # explicit: stamps[i] + shift
    int64_t first  # affine: first + i * slope
    int64_t slope  # affine: slope; explicit: shift
    int64_t ctl_stamp
    Block* block  # holds payloads and holes; NULL if they outlive the run
    Block* stamp_block  # holds the stamps
    Block* mark_block  # holds the marks


cdef struct Record:
    uint8_t* ctl
    int64_t* stamps
    char* data  # 8 bytes per integer, 4 * width per number
    int64_t count
    int64_t room
    int64_t* removals  # cycles; complete only if all units go token by token
    int64_t removed
    int64_t removal_room


cdef struct Chan:
    Entry* ring
    int64_t mask  # entries allocated - 1
    int64_t head  # entries ever removed
    int64_t tail  # entries ever added
    int32_t pos  # values of the head entry that are already removed
    int32_t width  # floats of a value, 0 for integers
    Block* current  # where computed payloads and stamps go
    Block* previous  # the one before: a run may still be under construction in it
    int64_t used  # bytes of the current block in use
    int64_t held  # values in the ring that lie in blocks
    int64_t soft_entries  # the producer pauses at so many entries
    int64_t soft_held  # or at so many values in blocks
    # Time.
    int64_t capacity  # in tokens, -1 unbounded
    int64_t sent  # tokens (only counted if bounded)
    int64_t popped  # tokens (only counted if bounded)
    int64_t* removals  # bounded: cycle in which a token was removed, ring of `removal_room`
    int64_t removal_room
    int64_t interval  # least distance of stamps, 0 for none
    int64_t last_stamp
    int64_t waited  # cycles in which the producer waited for room
    # What was sent.
    int64_t values
    int64_t missing
    int64_t stops
    int64_t marked  # of the stops
    int64_t done
    # Grammar.
    int32_t depth  # of the nested list, -1 unknown
    int32_t state  # -1 after a value, else the level of the last stop
    uint8_t closed  # the root list is closed
    uint8_t fresh  # tokens were added since the consumer ran
    uint8_t drained  # tokens were removed since the producer ran
    uint8_t crosses  # its ends belong to different parts of the machine (parts.pxd)
    int32_t index  # position in the machine
    Record* record  # NULL: not recorded
    Pool* pool


cdef bint ring_grow(Chan* c) noexcept nogil
cdef void record_token(Chan* c, uint8_t ctl, int64_t data, float* number,
                       int64_t stamp) noexcept nogil
cdef void check_stop(Chan* c, uint8_t ctl) noexcept nogil
cdef void refuse_value(Chan* c) noexcept nogil
cdef bint grow_removals(Chan* c) noexcept nogil
cdef void put_int(Chan* c, int64_t value, int64_t stamp) noexcept nogil
cdef void put_number(Chan* c, const float* value, int64_t stamp) noexcept nogil
cdef void put_missing(Chan* c, int64_t stamp) noexcept nogil
cdef void* block_space(Chan* c, int64_t size) noexcept nogil
cdef void* word_space(Chan* c, int64_t size) noexcept nogil
cdef void record_removal(Chan* c, int64_t clock) noexcept nogil
cdef void record_run(Chan* c, Entry* e) noexcept nogil
cdef void next_list(Chan* c, Entry* e) noexcept nogil
cdef void skip_lists(Entry* e, int64_t lists, int64_t values) noexcept nogil
cdef int64_t stretch(Entry* e, int64_t at) noexcept nogil


# Reading: the token at the head.

cdef inline bint has(Chan* c) noexcept nogil:
    return c.head != c.tail


cdef inline Entry* head_entry(Chan* c) noexcept nogil:
    return &c.ring[c.head & c.mask]


cdef inline bint is_missing(Entry* e, int64_t i) noexcept nogil:
    """Whether value i of an entry is a missing token."""
    return e.kind == ABSENT or (e.holes is not NULL and e.holes[i])


cdef inline uint8_t head_ctl(Chan* c) noexcept nogil:
    cdef Entry* e = &c.ring[c.head & c.mask]
    if c.pos < e.n:
        return CTL_MISSING if is_missing(e, c.pos) else CTL_VALUE
    return e.ctl


cdef inline uint8_t stop_at_head(Chan* c) noexcept nogil:
    """Return the stop at the head; 0 if there is another token, or none."""
    cdef Entry* e = &c.ring[c.head & c.mask]
    return e.ctl if c.head != c.tail and c.pos == e.n and e.ctl & CTL_STOP else 0


cdef inline int64_t values_left(Chan* c) noexcept nogil:
    """Return how many values, or how many missing tokens, stand at the head."""
    cdef Entry* e = &c.ring[c.head & c.mask]
    if c.head == c.tail:
        return 0
    return e.n - c.pos if e.holes is NULL else stretch(e, c.pos)


cdef inline bint absent_at_head(Chan* c) noexcept nogil:
    """Whether the values that are left at the head are missing tokens."""
    return is_missing(&c.ring[c.head & c.mask], c.pos)


cdef inline int64_t entry_stamp(Entry* e, int64_t i) noexcept nogil:
    return e.stamps[i] + e.slope if e.explicit else e.first + e.slope * i


cdef inline bint behind_head(Chan* c, uint8_t* ctl, int64_t* stamp) noexcept nogil:
    """Tell kind and stamp of the token behind the value at the head; False if it is not there."""
    cdef Entry* e = &c.ring[c.head & c.mask]
    cdef int64_t i = c.pos + 1
    if i == e.n and e.ctl == CTL_VALUE:
        if c.head + 1 == c.tail:
            return False
        e = &c.ring[(c.head + 1) & c.mask]
        i = 0
    if i < e.n:
        ctl[0] = CTL_MISSING if is_missing(e, i) else CTL_VALUE
        stamp[0] = entry_stamp(e, i)
    else:
        ctl[0] = e.ctl
        stamp[0] = e.ctl_stamp
    return True


cdef inline int64_t entry_int(Entry* e, int64_t i) noexcept nogil:
    return e.data.ints[i] if e.kind == INTS else e.data.base + e.step * i


cdef inline int64_t head_int(Chan* c) noexcept nogil:
    return entry_int(&c.ring[c.head & c.mask], c.pos)


cdef inline Payload payload_of(Entry* e, int64_t list, int64_t before) noexcept nogil:
    """Return the payload of a list of a bundle, which has so many values before it."""
    cdef Payload p = e.data
    if list == 0:
        return p
    if e.rest is not NULL:
        return e.rest[list - 1]
    if e.kind == INTS:
        p.ints += before
    elif e.kind == NUMBERS:
        p.numbers += e.step * before
    else:
        p.base += e.step * before
    return p


cdef inline float* head_number(Chan* c) noexcept nogil:
    cdef Entry* e = &c.ring[c.head & c.mask]
    return e.data.numbers + e.step * c.pos


cdef inline int64_t head_stamp(Chan* c) noexcept nogil:
    cdef Entry* e = &c.ring[c.head & c.mask]
    return entry_stamp(e, c.pos) if c.pos < e.n else e.ctl_stamp


cdef inline bint is_held(Entry* e) noexcept nogil:
    """Whether blocks hold anything of an entry."""
    return e.block is not NULL or e.stamp_block is not NULL or e.mark_block is not NULL


cdef inline void remove_entry(Chan* c) noexcept nogil:
    """Remove the list at the head, which is used up."""
    cdef Entry* e = &c.ring[c.head & c.mask]
    if e.more:
        next_list(c, e)
        return
    if is_held(e):
        c.held -= e.n
        if e.block is not NULL:
            block_drop(c.pool, e.block)
        if e.stamp_block is not NULL:
            block_drop(c.pool, e.stamp_block)
        if e.mark_block is not NULL:
            block_drop(c.pool, e.mark_block)
    c.head += 1
    c.pos = 0


cdef inline void remove_values(Chan* c, int64_t n) noexcept nogil:
    """Remove n values of the head entry."""
    cdef Entry* e = &c.ring[c.head & c.mask]
    c.pos += <int32_t> n
    c.drained = 1
    if c.pos == e.n and e.ctl == CTL_VALUE:
        remove_entry(c)


cdef inline void remove_ctl(Chan* c) noexcept nogil:
    """Remove the control token at the head."""
    c.drained = 1
    remove_entry(c)


cdef inline void remove_token(Chan* c, int64_t clock) noexcept nogil:
    """Remove the token at the head; a bounded channel remembers when."""
    if c.capacity >= 0:
        if c.popped - (c.sent - c.capacity) >= c.removal_room and not grow_removals(c):
            return
        c.removals[c.popped & (c.removal_room - 1)] = clock
        c.popped += 1
    if c.record is not NULL:
        record_removal(c, clock)
    if c.pos < c.ring[c.head & c.mask].n:
        remove_values(c, 1)
    else:
        remove_ctl(c)


# Writing.

cdef inline bint is_full(Chan* c) noexcept nogil:
    return c.tail - c.head >= c.soft_entries or c.held >= c.soft_held


cdef inline Entry* open_entry(Chan* c) noexcept nogil:
    """Return the last entry if it can still be extended, else NULL."""
    cdef Entry* e
    if c.tail == c.head:
        return NULL
    e = &c.ring[(c.tail - 1) & c.mask]
    return e if e.ctl == CTL_VALUE else NULL


cdef inline Entry* new_entry(Chan* c) noexcept nogil:
    """Return a new last entry: one list without holes; the caller fills in the other fields."""
    cdef Entry* e
    if c.tail - c.head > c.mask and not ring_grow(c):
        return &c.ring[(c.tail - 1) & c.mask]
    e = &c.ring[c.tail & c.mask]
    e.more = NO_MORE
    e.rest = NULL
    e.holes = NULL
    e.mark_block = NULL
    c.tail += 1
    c.fresh = 1
    return e


cdef inline void check_value(Chan* c) noexcept nogil:
    """A value or missing token is legal as long as the root list is open."""
    if c.closed:
        refuse_value(c)
    c.state = -1
    c.closed = c.depth == 0


cdef inline void put_ctl(Chan* c, uint8_t ctl, int64_t stamp) noexcept nogil:
    """Append a stop or the done token."""
    cdef Entry* e = open_entry(c)
    if c.record is not NULL:
        record_token(c, ctl, 0, NULL, stamp)
    if c.state < 0 and CTL_STOP <= ctl < CTL_STOP + c.depth - 1:
        c.state = ctl & 7
    elif c.depth >= 0:
        check_stop(c, ctl)
    if ctl & CTL_STOP:
        c.stops += 1
        c.marked += (ctl & 0x38) != 0
    else:
        c.done += 1
    if e is NULL:
        e = new_entry(c)
        e.n = 0
        e.block = NULL
        e.stamp_block = NULL
    e.ctl = ctl
    e.ctl_stamp = stamp
    c.fresh = 1
