# SPDX-License-Identifier: MIT
"""How an accumulator of order 1 sends its strip, by runs: ascending keys with their sums."""

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from fuseflow.sim.engine.pool cimport FAULT_OUT_OF_RANGE_CRD
from fuseflow.sim.engine.ring cimport RUN_LIMIT, Chan, block_space, put_ctl, word_space
from fuseflow.sim.engine.runs cimport Times, send_ints, send_numbers, send_range
from fuseflow.sim.engine.strip cimport Strip, strip_clear, strip_sort
from fuseflow.sim.engine.unit cimport Unit, fault, tick


cdef bint flush_strip(Unit* u, SpaccState* s) noexcept nogil:
    """Send all entries and the stop; False and a fault if a key is beyond its full level."""
    cdef Strip* strip = &s.strip
    cdef int64_t below = 0
    strip_sort(strip)
    if s.full[0] > 0:
        if not _send_full(u, s):
            return False
    else:
        while below < strip.count and strip.keys[below] < strip.low:
            below += 1
        _send_keys(u, s, 0, below)
        _send_neighbours(u, s, strip.low, strip.high - strip.low)
        _send_keys(u, s, below, strip.count)
    strip_clear(strip)
    if u.outputs[0] is not NULL:
        put_ctl(u.outputs[0], u.ctl, u.clock + 1)
    if u.outputs[1] is not NULL:
        put_ctl(u.outputs[1], u.ctl, u.clock + 1)
    return True


cdef Times _moment(Unit* u) noexcept nogil:
    """Return the times of entries that are sent from now on."""
    cdef Times t
    t.explicit = False
    t.strict = False
    t.private = False
    t.block = NULL
    t.stamps = NULL
    t.first = u.clock
    t.slope = u.flush_ii
    return t


cdef int64_t _portion(SpaccState* s, Chan* c, int64_t n) noexcept nogil:
    """Cut n to as many values as a block holds."""
    cdef int64_t limit = RUN_LIMIT
    if s.width > 1:
        limit = c.pool.block_bytes / (4 * s.width)
    return n if n < limit else limit


cdef void _send_neighbours(Unit* u, SpaccState* s, int64_t key, int64_t n) noexcept nogil:
    """Send the sums of the keys key .. key + n - 1."""
    cdef Times t = _moment(u)
    cdef Chan* c = u.outputs[1]
    cdef float* place
    cdef int64_t part
    if n == 0:
        return
    send_range(u.outputs[0], key, 1, n, &t)
    while c is not NULL and n > 0:
        part = _portion(s, c, n)
        place = <float*> block_space(c, part * s.width * sizeof(float))
        memcpy(place, s.strip.sums + key * s.width, part * s.width * sizeof(float))
        t = _moment(u)
        send_numbers(c, place, s.width, c.current, part, &t, 1)
        tick(u, part * u.flush_ii)
        key += part
        n -= part
    tick(u, n * u.flush_ii)


cdef void _send_keys(Unit* u, SpaccState* s, int64_t at, int64_t end) noexcept nogil:
    """Send the listed keys from position `at` on, with their sums."""
    cdef Times t
    cdef Chan* crd = u.outputs[0]
    cdef Chan* val = u.outputs[1]
    cdef int64_t i, part
    cdef int64_t* keys
    cdef float* place
    while at < end:
        part = _portion(s, val if val is not NULL else crd, end - at)
        t = _moment(u)
        if crd is not NULL:
            keys = <int64_t*> word_space(crd, part * sizeof(int64_t))
            memcpy(keys, s.strip.keys + at, part * sizeof(int64_t))
            send_ints(crd, keys, crd.current, part, &t)
        if val is not NULL:
            place = <float*> block_space(val, part * s.width * sizeof(float))
            keys = s.strip.keys + at
            if s.width == 1:
                for i in range(part):
                    place[i] = s.strip.sums[keys[i]]
            else:
                for i in range(part):
                    memcpy(place + i * s.width, s.strip.sums + keys[i] * s.width,
                           s.width * sizeof(float))
            send_numbers(val, place, s.width, val.current, part, &t, 1)
        tick(u, part * u.flush_ii)
        at += part


cdef bint _send_full(Unit* u, SpaccState* s) noexcept nogil:
    """Send all keys of a full level; those without a sum get the missing value."""
    cdef Strip* strip = &s.strip
    cdef int64_t size = s.full[0], key, i
    if strip.high > size or (strip.count and strip.keys[strip.count - 1] >= size):
        return fault(u, FAULT_OUT_OF_RANGE_CRD, _least_beyond(strip, size), size)
    if strip.low > 0 or strip.high < size:
        for key in range(size):
            if not (strip.low <= key < strip.high or strip.seen[key >> 6] >> (key & 63) & 1):
                for i in range(s.width):
                    strip.sums[key * s.width + i] = s.missing[i]
        strip.low = 0
        strip.high = size
    _send_neighbours(u, s, 0, size)
    return True


cdef int64_t _least_beyond(Strip* strip, int64_t size) noexcept nogil:
    """Return the smallest key that is present and not below `size`; there is one."""
    cdef int64_t i = 0
    cdef int64_t least = max(strip.low, size)
    while i < strip.count and strip.keys[i] < size:
        i += 1
    if i < strip.count and (strip.high <= size or strip.keys[i] < least):
        least = strip.keys[i]
    return least
