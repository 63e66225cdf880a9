# SPDX-License-Identifier: MIT
"""Times of runs whose stamps are arrays (see runs.pxd)."""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.ring cimport (
    AFFINE, NUMBERS, RUN_LIMIT, Chan, Entry, open_entry, record_run, word_space,
)
from fuseflow.sim.engine.unit cimport Unit


cdef Chan* _first_output(Unit* u) noexcept nogil:
    """Return an output whose blocks may hold stamps; a unit that runs by runs has one."""
    cdef int32_t k = 0
    while u.outputs[k] is NULL:
        k += 1
    return u.outputs[k]


cdef void _use_new_array(Unit* u, Times* t, int64_t* n) noexcept nogil:
    """Give t an array of its own, n cut to what fits."""
    cdef Chan* c
    if t.explicit and t.private:
        return
    c = _first_output(u)
    if n[0] > RUN_LIMIT:
        n[0] = RUN_LIMIT
    t.stamps = <int64_t*> word_space(c, n[0] * sizeof(int64_t))
    t.block = c.current
    t.explicit = True
    t.private = True
    t.slope = 0


cdef int64_t _reach(Times* t, int64_t start, int64_t slope, int64_t n) noexcept nogil:
    """Return the first i with t_i >= start + slope * i, n if none; t rises no slower than that."""
    cdef int64_t low = 0, high = 1, middle
    while high < n and t.stamps[high] + t.slope < start + slope * high:
        low = high
        high *= 2
    if high > n:
        high = n
    while low < high:
        middle = (low + high) >> 1
        if t.stamps[middle] + t.slope < start + slope * middle:
            low = middle + 1
        else:
            high = middle
    return low


cdef void _be_affine(Times* t, int64_t first, int64_t slope) noexcept nogil:
    t.explicit = False
    t.strict = False
    t.first = first
    t.slope = slope


cdef void fire_array(Unit* u, Times* t, int64_t cost, int64_t* n) noexcept nogil:
    """`fire` for an array of stamps."""
    cdef Times source = t[0]
    cdef int64_t i, clock, arrival, first = t.stamps[0] + t.slope
    if n[0] == 1 or (t.strict and cost <= 1 and u.clock > first):
        if n[0] > 1:
            n[0] = _reach(t, u.clock, cost, n[0])
        _be_affine(t, u.clock if u.clock > first else first, cost)
        u.clock = t.first + cost * n[0]
    elif t.strict and cost <= 1:
        u.clock = t.stamps[n[0] - 1] + t.slope + cost
    else:
        _use_new_array(u, t, n)
        clock = u.clock
        for i in range(n[0]):
            arrival = source.stamps[i] + source.slope
            if arrival > clock:
                clock = arrival
            t.stamps[i] = clock
            clock += cost
        t.slope = 0
        t.strict = cost >= 1
        u.clock = clock
    u.busy += cost * n[0]


cdef int64_t drain_array(Times* t, int64_t cost, int64_t n) noexcept nogil:
    """Return the clock behind n firings that only wait for these stamps."""
    cdef int64_t i, end = 0, clock
    if t.strict and cost <= 1:
        return t.stamps[n - 1] + t.slope + cost
    for i in range(n):
        clock = t.stamps[i] + cost * (n - i)
        if clock > end or i == 0:
            end = clock
    return end + t.slope


cdef bint _rises(Times* t) noexcept nogil:
    return t.strict if t.explicit else t.slope >= 1


cdef void merge_arrays(Unit* u, Times* a, Times* b, int64_t* n) noexcept nogil:
    """`later` where at least one has an array of stamps."""
    cdef Times swap
    cdef int64_t x, y
    cdef bint rises = _rises(a) and _rises(b)
    if a.explicit and b.explicit and a.stamps is b.stamps:
        if b.slope > a.slope:
            a.slope = b.slope
        return
    if n[0] == 1:
        x = time_of(a, 0)
        y = time_of(b, 0)
        _be_affine(a, x if x > y else y, 0)
        return
    if not a.explicit:
        swap = a[0]
        a[0] = b[0]
        b[0] = swap
    if a.strict and not b.explicit and b.slope <= 1:
        if a.stamps[0] + a.slope >= b.first:
            return
        n[0] = _reach(a, b.first, b.slope, n[0])
        _be_affine(a, b.first, b.slope)
        return
    _merge_all(u, a, b, n)
    a.strict = rises


cdef void _merge_all(Unit* u, Times* a, Times* b, int64_t* n) noexcept nogil:
    """Write the maximum into an array of its own."""
    cdef Times left = a[0]
    cdef int64_t i, x, y
    _use_new_array(u, a, n)
    for i in range(n[0]):
        x = left.stamps[i] + left.slope
        y = time_of(b, i)
        a.stamps[i] = x if x > y else y
    a.slope = 0


cdef void _own_array(Unit* u, Times* t, int64_t n) noexcept nogil:
    """Give t an array of its own that holds all n times; a block has room for them."""
    cdef Times source = t[0]
    cdef int64_t i
    if t.explicit and t.private:
        return
    _use_new_array(u, t, &n)
    if source.explicit:
        for i in range(n):
            t.stamps[i] = source.stamps[i] + source.slope
        return
    for i in range(n):
        t.stamps[i] = source.first + source.slope * i
    t.strict = source.slope >= 1


cdef void fire_all(Unit* u, Times* t, int64_t cost, int64_t clock, int64_t n) noexcept nogil:
    """Let n arrivals become times of firing from `clock` on, in one piece; a block holds n."""
    cdef int64_t i, first = time_of(t, 0)
    cdef int64_t* stamps
    if not t.explicit and t.slope <= cost:
        t.first = max(first, clock)
        t.slope = cost
        return
    if clock <= first and (not t.explicit or (t.strict and cost <= 1)):
        return
    _own_array(u, t, n)
    stamps = t.stamps
    if t.strict and cost <= 1:
        for i in range(n):
            stamps[i] = max(stamps[i], clock + cost * i)
    else:
        for i in range(n):
            clock = max(clock, stamps[i])
            stamps[i] = clock
            clock += cost
    t.strict = cost >= 1


cdef void later_all(Unit* u, Times* a, Times* b, int64_t n) noexcept nogil:
    """Let a become the maximum of a and b, in one piece; a block holds n."""
    cdef int64_t i
    cdef bint rises = _rises(a) and _rises(b)
    if a.explicit and b.explicit and a.stamps is b.stamps:
        a.slope = max(a.slope, b.slope)
        return
    if _is_never_before(a, b, n):
        return
    if _is_never_before(b, a, n):
        a[0] = b[0]
        a.private = False
        return
    _own_array(u, a, n)
    if b.explicit:
        for i in range(n):
            a.stamps[i] = max(a.stamps[i], b.stamps[i] + b.slope)
    else:
        for i in range(n):
            a.stamps[i] = max(a.stamps[i], b.first + b.slope * i)
    a.strict = rises


cdef inline bint _is_never_before(Times* a, Times* b, int64_t n) noexcept nogil:
    """Whether a look at two times each shows that a is not before b."""
    if b.explicit:
        return False
    if time_of(a, 0) < time_of(b, 0):
        return False
    if a.explicit:
        return a.strict and b.slope <= 1
    return time_of(a, n - 1) >= time_of(b, n - 1)


cdef void raise_times(Unit* u, Times* t, int64_t at, int64_t stamp, int64_t cost,
                      int64_t n) noexcept nogil:
    """Let the firing `at` be at a stamp that is later, and those behind it `cost` apart at least.

    There are n in all, and a block holds n.
    """
    _own_array(u, t, n)
    while at < n and t.stamps[at] < stamp:
        t.stamps[at] = stamp
        stamp += cost
        at += 1
    t.strict = cost >= 1


cdef void pack_times(Times* t, int64_t n) noexcept nogil:
    """Describe an array of times as affine if they are."""
    cdef int64_t i, wrong = 0, first = time_of(t, 0)
    cdef int64_t slope = t.stamps[1] - t.stamps[0] if n > 1 else 1
    if t.stamps[n - 1] - t.stamps[0] != slope * (n - 1):
        return
    for i in range(n):
        wrong |= t.stamps[i] ^ (t.stamps[0] + slope * i)
    if not wrong:
        _be_affine(t, first, slope)


cdef void append_numbers(Chan* c, float* place, int64_t n, Times* t) noexcept nogil:
    """Append n numbers that were just written to the current block, latency 1.

    They extend the last run if they lie behind it in memory and in time, so that what comes in
    pieces goes on as one.
    """
    cdef Entry* e = open_entry(c)
    cdef Entry added
    cdef int64_t gap
    if (e is NULL or e.kind != NUMBERS or e.explicit != AFFINE or t.explicit
            or e.block is not c.current or e.step != c.width
            or e.data.numbers + e.n * e.step != place or e.n + n > RUN_LIMIT):
        send_numbers(c, place, c.width, c.current, n, t, 1)
        return
    gap = t.first + 1 - (e.first + e.slope * (e.n - 1))
    if (e.n > 1 and gap != e.slope) or (n > 1 and t.slope != gap):
        send_numbers(c, place, c.width, c.current, n, t, 1)
        return
    if c.record is not NULL:
        added = e[0]
        added.n = <int32_t> n
        added.data.numbers = place
        added.first = t.first + 1
        added.slope = gap
        record_run(c, &added)
    e.slope = gap
    e.n += <int32_t> n
    c.held += n
    c.values += n
    c.fresh = 1
