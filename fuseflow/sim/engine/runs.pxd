# SPDX-License-Identifier: MIT
"""Times of runs: exact max-plus arithmetic on whole runs of unbounded channels.

A unit that fires with `cost` ticks per value has T_i = max(T_{i-1} + cost, arrival_i). For an
affine arrival that is one or two affine pieces, for an array of strictly rising stamps an affine
piece and then the array itself. The functions below cut a run to its first piece; the rule goes
on with the rest. Rules by runs keep the phases of the rules by tokens: either can take over.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.pool cimport Block
from fuseflow.sim.engine.ring cimport (
    ABSENT, AFFINE, ARRAY, CTL_VALUE, INTS, NUMBERS, RANGE, RISING, Chan, Entry, check_value,
    head_entry, is_held, is_missing, new_entry, record_run,
)
from fuseflow.sim.engine.unit cimport Unit


cdef struct Times:
    bint explicit
    bint strict  # explicit: rises by at least one from value to value
    bint private  # explicit: no entry refers to the array yet
    int64_t first  # affine: first + i * slope
    int64_t slope  # affine: slope; explicit: stamps[i] + slope
    int64_t* stamps
    Block* block  # of the stamps


cdef void fire_array(Unit* u, Times* t, int64_t cost, int64_t* n) noexcept nogil
cdef void merge_arrays(Unit* u, Times* a, Times* b, int64_t* n) noexcept nogil
cdef int64_t drain_array(Times* t, int64_t cost, int64_t n) noexcept nogil
cdef void fire_all(Unit* u, Times* t, int64_t cost, int64_t clock, int64_t n) noexcept nogil
cdef void later_all(Unit* u, Times* a, Times* b, int64_t n) noexcept nogil
cdef void raise_times(Unit* u, Times* t, int64_t at, int64_t stamp, int64_t cost,
                      int64_t n) noexcept nogil
cdef void pack_times(Times* t, int64_t n) noexcept nogil


cdef inline Times arrivals(Chan* c) noexcept nogil:
    """Return the stamps of the values that the head entry still has."""
    cdef Entry* e = head_entry(c)
    cdef Times t
    t.explicit = e.explicit != AFFINE
    t.strict = e.explicit == RISING
    t.private = False
    t.slope = e.slope
    t.block = e.stamp_block
    if e.explicit:
        t.stamps = e.stamps + c.pos
        t.first = 0
    else:
        t.stamps = NULL
        t.first = e.first + e.slope * c.pos
    return t


cdef inline Times affine_times(int64_t first, int64_t slope) noexcept nogil:
    """Return first, first + slope, .."""
    cdef Times t
    t.explicit = False
    t.strict = False
    t.private = False
    t.first = first
    t.slope = slope
    t.stamps = NULL
    t.block = NULL
    return t


cdef inline int64_t time_of(Times* t, int64_t i) noexcept nogil:
    return t.stamps[i] + t.slope if t.explicit else t.first + t.slope * i


cdef inline void later(Unit* u, Times* a, Times* b, int64_t* n) noexcept nogil:
    """Let a become the maximum of a and b; n is cut to where one of them is it."""
    cdef int64_t last = n[0] - 1
    cdef int64_t gap
    if a.explicit or b.explicit:
        merge_arrays(u, a, b, n)
        return
    gap = a.first - b.first
    if gap < 0 or (gap == 0 and b.slope > a.slope):
        if a.first + a.slope * last > b.first + b.slope * last:
            n[0] = -gap / (a.slope - b.slope) + 1
        a.first = b.first
        a.slope = b.slope
    elif b.first + b.slope * last > a.first + a.slope * last:
        n[0] = gap / (b.slope - a.slope) + 1


cdef inline void fire(Unit* u, Times* t, int64_t cost, int64_t* n) noexcept nogil:
    """Fire once per arrival: t becomes the times of firing, n the length of their first piece."""
    cdef int64_t lag, piece
    if t.explicit:
        fire_array(u, t, cost, n)
        return
    lag = u.clock - t.first
    if t.slope <= cost:
        if lag > 0:
            t.first = u.clock
        t.slope = cost
    elif lag > 0:
        piece = (lag + t.slope - cost - 1) / (t.slope - cost)
        if piece < n[0]:
            n[0] = piece
        t.first = u.clock
        t.slope = cost
    u.clock = t.first + t.slope * (n[0] - 1) + cost
    u.busy += cost * n[0]


cdef inline void begin_drain(Unit* u, int64_t cost, int64_t n) noexcept nogil:
    """Let the work of n values pass where nothing is sent; `drain` adds what arrivals ask for."""
    u.clock += cost * n
    u.busy += cost * n


cdef inline void drain(Unit* u, Times* t, int64_t cost, int64_t n) noexcept nogil:
    """Raise the final clock to what n arrivals ask for; call it for each input."""
    cdef int64_t end, start
    if t.explicit:
        end = drain_array(t, cost, n)
    else:
        end = t.first + t.slope * (n - 1) + cost
        start = t.first + cost * n
        if start > end:
            end = start
    if end > u.clock:
        u.clock = end


cdef inline void set_stamps(Entry* e, Times* t, int64_t latency) noexcept nogil:
    """Let the stamps of a new entry be so much later than these times."""
    e.explicit = AFFINE
    if t.explicit:
        e.explicit = RISING if t.strict else ARRAY
    e.stamps = t.stamps
    e.first = t.first + latency
    e.slope = t.slope + latency if t.explicit else t.slope
    e.stamp_block = NULL
    if t.explicit:
        e.stamp_block = t.block
        t.block.refs += 1
        t.private = False


cdef inline Entry* send_run(Chan* c, uint8_t kind, int64_t n, Times* t,
                            int64_t latency) noexcept nogil:
    """Append a run; the caller sets payload and step, then calls `sent_run`."""
    cdef Entry* e = new_entry(c)
    e.n = <int32_t> n
    e.kind = kind
    e.ctl = CTL_VALUE
    set_stamps(e, t, latency)
    return e


cdef inline void sent_run(Chan* c, Entry* e, Block* block) noexcept nogil:
    """Account for a run that was appended and whose payload lies in `block` (NULL: a tensor)."""
    e.block = block
    if block is not NULL:
        block.refs += 1
    if is_held(e):
        c.held += e.n
    if e.kind == ABSENT:
        c.missing += e.n
    else:
        c.values += e.n
    if c.depth >= 0:
        check_value(c)
    if c.record is not NULL:
        record_run(c, e)


cdef inline void send_range(Chan* c, int64_t base, int64_t step, int64_t n,
                            Times* t) noexcept nogil:
    """Append base, base + step, .."""
    cdef Entry* e
    if c is NULL:
        return
    e = send_run(c, RANGE, n, t, 1)
    e.data.base = base
    e.step = step
    sent_run(c, e, NULL)


cdef inline void send_ints(Chan* c, const int64_t* ints, Block* block, int64_t n,
                           Times* t) noexcept nogil:
    """Append coordinates or references that lie in an array."""
    cdef Entry* e
    if c is NULL:
        return
    e = send_run(c, INTS, n, t, 1)
    e.data.ints = <int64_t*> ints
    e.step = 0
    sent_run(c, e, block)


cdef inline void send_numbers(Chan* c, const float* numbers, int64_t step, Block* block, int64_t n,
                              Times* t, int64_t latency) noexcept nogil:
    """Append numbers that lie in an array, `step` floats apart."""
    cdef Entry* e
    if c is NULL:
        return
    e = send_run(c, NUMBERS, n, t, latency)
    e.data.numbers = <float*> numbers
    e.step = step
    sent_run(c, e, block)


cdef void append_numbers(Chan* c, float* place, int64_t n, Times* t) noexcept nogil


cdef inline void send_missing(Chan* c, int64_t n, Times* t) noexcept nogil:
    """Append missing tokens."""
    cdef Entry* e
    if c is NULL:
        return
    e = send_run(c, ABSENT, n, t, 1)
    e.step = 0
    sent_run(c, e, NULL)


cdef inline void forward(Chan* c, Entry* source, int64_t pos, int64_t n, Times* t,
                         bint repeated) noexcept nogil:
    """Append n values of another ring's entry from `pos` on, or the one at `pos` n times.

    They are all there, or all missing.
    """
    cdef Entry* e
    cdef int64_t step = 0 if repeated else source.step
    if c is NULL:
        return
    if is_missing(source, pos):
        send_missing(c, n, t)
    elif source.kind == INTS and not repeated:
        send_ints(c, source.data.ints + pos, source.block, n, t)
    elif source.kind == INTS:
        send_range(c, source.data.ints[pos], 0, n, t)
    elif source.kind == RANGE:
        send_range(c, source.data.base + source.step * pos, step, n, t)
    else:
        send_numbers(c, source.data.numbers + source.step * pos, step, source.block, n, t, 1)
