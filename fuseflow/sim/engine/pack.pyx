# SPDX-License-Identifier: MIT
"""Packing short lists into bundles (see pack.pxd)."""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from fuseflow.sim.engine.bundles cimport (
    BUNDLE_LENGTH, BUNDLE_LISTS, BUNDLE_VALUES, STRIDE, Span, close_marks, fill_range, new_marks,
)
from fuseflow.sim.engine.lines cimport Access
from fuseflow.sim.engine.pool cimport block_drop
from fuseflow.sim.engine.ring cimport (
    ABSENT, ARRAY, CTL_STOP, CTL_VALUE, INTS, NO_MORE, NUMBERS, RANGE, RISING, WHOLE, Chan, Entry,
    Mark, block_space, is_held, open_entry, word_space,
)
from fuseflow.sim.engine.unit cimport Unit


cdef enum:
    REACH = 8  # pieces of the list under way that are packed with its end


cdef struct Group:
    # Entries that become one bundle.
    int64_t first
    int64_t end
    int64_t values
    int32_t lists


cdef void pack_outputs(Unit* u) noexcept nogil:
    """Pack what a unit has sent since the last time, where a rule by runs did that."""
    cdef Access* access = <Access*> u.access
    cdef Chan* c
    cdef int32_t k
    if not access.packs:
        return
    for k in range(u.n_out):
        c = u.outputs[k]
        if c is not NULL:
            if c.width <= 1 and c.tail > access.sent[k]:
                _pack(c, _first_list(c, access.sent[k], access.open[k]))
                access.open[k] = open_entry(c) is not NULL
            access.sent[k] = c.tail


cdef int64_t _first_list(Chan* c, int64_t sent, bint was_open) noexcept nogil:
    """Return the entry that begins the first list which may be packed.

    Entries from number `sent` on are new; `was_open`: the list under way began before. A bundle
    begins where a list does, so that who reads it is not in the middle of one.
    """
    cdef int64_t first = c.head + (c.pos > 0)
    cdef int64_t at = max(sent, first)
    cdef int32_t k
    for k in range(REACH):
        if at > first and (c.ring[(at - 1) & c.mask].ctl == CTL_VALUE):
            at -= 1
    if at > first + 1 and _ends(c, at - 2) and c.ring[(at - 1) & c.mask].more == NO_MORE:
        at -= 1  # a list that was alone
    if _ends(c, at - 1) or (at == sent and at <= first and not was_open):
        return at
    while at < c.tail and not _ends(c, at):
        at += 1
    return at + 1


cdef inline bint _ends(Chan* c, int64_t at) noexcept nogil:
    """Whether an entry is there and ends a list."""
    return at >= c.head and c.ring[at & c.mask].ctl != CTL_VALUE


cdef void _pack(Chan* c, int64_t at) noexcept nogil:
    """Pack the entries from number `at` on."""
    cdef Group g
    cdef int64_t to = at
    cdef int64_t k
    if at >= c.tail:
        return
    while at < c.tail:
        _collect(c, at, &g)
        if g.lists > 1:
            _write_bundle(c, &g, to)
            to += 1
        else:
            # To the end of the list: what does not fit is left as it is.
            g.end = max(g.end, at + 1)
            while g.end < c.tail and not _ends(c, g.end - 1):
                g.end += 1
            for k in range(at, g.end):
                if to != k:
                    c.ring[to & c.mask] = c.ring[k & c.mask]
                to += 1
        at = g.end
    c.tail = to


cdef void _collect(Chan* c, int64_t at, Group* g) noexcept nogil:
    """Find the lists from entry `at` on that fit into one bundle."""
    cdef Entry* e
    cdef int64_t n = 0  # values of the list under way
    cdef int64_t values = 0
    g.first = at
    g.end = at
    g.values = 0
    g.lists = 0
    while at < c.tail and g.lists < BUNDLE_LISTS:
        e = &c.ring[at & c.mask]
        n += e.n
        values += e.n
        if not _is_plain(e, n) or values > BUNDLE_VALUES:
            return
        at += 1
        if e.ctl != CTL_VALUE:
            n = 0
            g.end = at
            g.values = values
            g.lists += 1


cdef inline bint _is_plain(Entry* e, int64_t n) noexcept nogil:
    """Whether an entry may be part of a bundle, as part of a list of n values."""
    if e.more != NO_MORE or e.holes is not NULL or n > BUNDLE_LENGTH:
        return False
    if e.n and e.kind == ABSENT:
        return False
    return e.ctl == CTL_VALUE or (e.ctl & CTL_STOP and not e.ctl & 0x38)


cdef void _write_bundle(Chan* c, Group* g, int64_t to) noexcept nogil:
    """Put the bundle of a group in the place of entry `to`, and drop the group's entries."""
    cdef Entry bundle
    cdef int64_t at
    cdef Entry* e
    bundle.more = WHOLE
    bundle.rest = NULL
    bundle.holes = NULL
    _write_payload(c, g, &bundle)
    _write_marks(c, g, &bundle)
    _write_stamps(c, g, &bundle)
    for at in range(g.first, g.end):
        e = &c.ring[at & c.mask]
        if is_held(e):
            c.held -= e.n
        if e.block is not NULL:
            block_drop(c.pool, e.block)
        if e.stamp_block is not NULL:
            block_drop(c.pool, e.stamp_block)
    c.held += g.values
    c.ring[to & c.mask] = bundle


cdef void _write_marks(Chan* c, Group* g, Entry* bundle) noexcept nogil:
    cdef Mark* marks = new_marks(c, g.lists)
    cdef Span span
    cdef Entry* e
    cdef int64_t at, n = 0
    cdef int32_t list = 0
    for at in range(g.first, g.end):
        e = &c.ring[at & c.mask]
        n += e.n
        if e.ctl == CTL_VALUE:
            continue
        if list == 0:
            bundle.n = <int32_t> n
            bundle.ctl = e.ctl
        else:
            marks[list - 1].n = <int32_t> n
            marks[list - 1].ctl = e.ctl
        list += 1
        n = 0
    span.lists = g.lists
    span.values = g.values
    span.ctl = bundle.ctl
    close_marks(marks, &span)
    bundle.marks = marks
    bundle.mark_block = c.current
    c.current.refs += 1


cdef void _write_stamps(Chan* c, Group* g, Entry* bundle) noexcept nogil:
    """Write down when each token can be read, stops included."""
    cdef int64_t tokens = g.values + g.lists
    cdef int64_t* place = <int64_t*> word_space(c, (tokens + STRIDE) * sizeof(int64_t))
    cdef int64_t* first = place
    cdef int64_t at, i, gap, least = 1
    cdef Entry* e
    for at in range(g.first, g.end):
        e = &c.ring[at & c.mask]
        if e.explicit:
            for i in range(e.n):
                place[i] = e.stamps[i] + e.slope
                least = min(least, place[i] - place[i - 1]) if i else least
        elif e.n:
            fill_range(place, e.first, e.slope, e.n)
            least = min(least, e.slope) if e.n > 1 else least
        if e.n and at > g.first:
            least = min(least, place[0] - (place - 1)[0])
        place += e.n
        if e.ctl != CTL_VALUE:
            place[0] = e.ctl_stamp
            least = min(least, place[0] - (place - 1)[0]) if place != first else least
            place += 1
    bundle.explicit = RISING if least >= 1 else ARRAY
    bundle.stamps = first
    bundle.first = 0
    bundle.slope = 0
    bundle.stamp_block = c.current
    c.current.refs += 1
    bundle.ctl_stamp = first[bundle.n]


cdef void _write_payload(Chan* c, Group* g, Entry* bundle) noexcept nogil:
    """Take over what lies one after the other, or copy it."""
    if _is_joined(c, g, bundle):
        if bundle.block is not NULL:
            bundle.block.refs += 1
    elif c.width:
        _copy_numbers(c, g, bundle)
    else:
        _copy_ints(c, g, bundle)


cdef bint _is_joined(Chan* c, Group* g, Entry* bundle) noexcept nogil:
    """Whether all values are one run in memory, or of integers one range; which one it is."""
    cdef Entry* e
    cdef int64_t at, gap, step = 1
    cdef int64_t before = 0  # values
    bundle.kind = NUMBERS if c.width else RANGE
    bundle.data.base = 0
    bundle.step = 0
    bundle.block = NULL
    for at in range(g.first, g.end):
        e = &c.ring[at & c.mask]
        if e.n == 0:
            continue
        if before == 0:
            bundle.kind = e.kind
            bundle.data = e.data
            bundle.step = e.step
            bundle.block = e.block
            step = 1 if e.kind == INTS else e.step
        elif e.kind != bundle.kind or e.block is not bundle.block:
            return False
        else:
            gap = _distance(bundle, e)
            if before == 1 and e.kind != INTS:
                step = gap
                bundle.step = gap
            if gap != step * before or (e.n > 1 and e.step != bundle.step):
                return False
        before += e.n
    return True


cdef inline int64_t _distance(Entry* a, Entry* b) noexcept nogil:
    """Return how far the first value of b is behind that of a, in what their kind counts."""
    if a.kind == NUMBERS:
        return b.data.numbers - a.data.numbers
    if a.kind == INTS:
        return b.data.ints - a.data.ints
    return b.data.base - a.data.base


cdef void _copy_ints(Chan* c, Group* g, Entry* bundle) noexcept nogil:
    cdef int64_t* place = <int64_t*> word_space(c, (g.values + 1) * sizeof(int64_t))
    cdef int64_t at, i
    cdef Entry* e
    bundle.kind = INTS
    bundle.data.ints = place
    bundle.step = 0
    bundle.block = c.current
    c.current.refs += 1
    for at in range(g.first, g.end):
        e = &c.ring[at & c.mask]
        if e.n and e.kind == INTS:
            memcpy(place, e.data.ints, e.n * sizeof(int64_t))
        else:
            for i in range(e.n):
                place[i] = e.data.base + e.step * i
        place += e.n


cdef void _copy_numbers(Chan* c, Group* g, Entry* bundle) noexcept nogil:
    cdef float* place = <float*> block_space(c, (g.values + 1) * sizeof(float))
    cdef int64_t at, i
    cdef Entry* e
    bundle.kind = NUMBERS
    bundle.data.numbers = place
    bundle.step = 1
    bundle.block = c.current
    c.current.refs += 1
    for at in range(g.first, g.end):
        e = &c.ring[at & c.mask]
        for i in range(e.n):
            place[i] = e.data.numbers[i * e.step]
        place += e.n
