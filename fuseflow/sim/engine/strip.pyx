# SPDX-License-Identifier: MIT
"""Sums by key in a plain array (see strip.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fuseflow.sim.engine.pool cimport pool_resize
from fuseflow.sim.engine.scalar cimport combine
from fuseflow.sim.engine.states cimport FOLD_ADD, Fold


cdef bint strip_reserve(Strip* s, int64_t keys, int64_t more) noexcept nogil:
    """Make room for keys below `keys` and for `more` new ones; False and a fault if there is none.
    """
    cdef int64_t room = s.room if s.room else 64
    cdef int64_t listed = s.key_room if s.key_room else 64
    if keys > s.room:
        while room < keys:
            room *= 2
        s.sums = <float*> pool_resize(s.pool, s.sums, room * s.width * sizeof(float))
        s.seen = <uint64_t*> pool_resize(s.pool, s.seen, room / 8)
        if s.sums is NULL or s.seen is NULL:
            return False
        memset(<char*> s.seen + s.room / 8, 0, (room - s.room) / 8)
        s.room = room
    if s.count + more > s.key_room:
        while listed < s.count + more:
            listed *= 2
        s.keys = <int64_t*> pool_resize(s.pool, s.keys, listed * sizeof(int64_t))
        s.scratch = <int64_t*> pool_resize(s.pool, s.scratch, listed * sizeof(int64_t))
        if s.keys is NULL or s.scratch is NULL:
            return False
        s.key_room = listed
    return True


cdef void strip_add_range(Strip* s, Fold op, int64_t first, const float* values, int64_t step,
                          int64_t n) noexcept nogil:
    """Combine values into the keys first, first + 1, .."""
    cdef int64_t i
    cdef float* sums = s.sums + first * s.width
    if s.count == 0 and s.low == s.high:
        s.low = first
        s.high = first + n
        _copy(sums, values, step, n, s.width)
    elif s.low <= first and first + n <= s.high and s.width == 1:
        if op == FOLD_ADD:
            _add(sums, values, step, n)
        else:
            for i in range(n):
                sums[i] = combine(op, sums[i], values[i * step])
    else:
        for i in range(n):
            strip_add(s, op, first + i, values + i * step)


cdef void _add(float* sums, const float* values, int64_t step, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef float value
    if step == 1:
        for i in range(n):
            sums[i] = sums[i] + values[i]
    else:
        for i in range(n):
            sums[i] = sums[i] + values[i * step]


cdef void _copy(float* to, const float* values, int64_t step, int64_t n,
                int32_t width) noexcept nogil:
    cdef int64_t i
    if step == width:
        memcpy(to, values, n * width * sizeof(float))
        return
    for i in range(n):
        memcpy(to + i * width, values + i * step, width * sizeof(float))


cdef void strip_add(Strip* s, Fold op, int64_t key, const float* value) noexcept nogil:
    """Combine a value into a key; room for it has been made."""
    cdef int64_t i
    cdef uint64_t bit = <uint64_t> 1 << (key & 63)
    cdef float* place = s.sums + key * s.width
    if s.low <= key < s.high or s.seen[key >> 6] & bit:
        for i in range(s.width):
            place[i] = combine(op, place[i], value[i])
        return
    s.seen[key >> 6] |= bit
    if s.count == 0:
        s.ascending = True
    elif key < s.keys[s.count - 1]:
        s.ascending = False
    s.keys[s.count] = key
    s.count += 1
    for i in range(s.width):
        place[i] = value[i]


cdef void strip_sort(Strip* s) noexcept nogil:
    """Bring the listed keys into ascending order."""
    cdef int64_t i, word, last_word, count = 0
    cdef int64_t least, largest
    cdef uint64_t bits
    if s.count == 0 or s.ascending:
        return
    least = largest = s.keys[0]
    for i in range(s.count):
        least = min(least, s.keys[i])
        largest = max(largest, s.keys[i])
    if (largest - least) / 64 > 8 * s.count:
        _merge_sort(s)
        return
    last_word = largest >> 6
    for word in range(least >> 6, last_word + 1):
        bits = s.seen[word]
        while bits:
            s.keys[count] = word * 64 + _lowest(bits)
            bits &= bits - 1
            count += 1


cdef inline int32_t _lowest(uint64_t bits) noexcept nogil:
    """Return the position of the lowest bit that is set."""
    cdef int32_t at = 0
    if <uint32_t> bits == 0:
        at += 32
        bits >>= 32
    if <uint16_t> bits == 0:
        at += 16
        bits >>= 16
    if <uint8_t> bits == 0:
        at += 8
        bits >>= 8
    while not bits & 1:
        at += 1
        bits >>= 1
    return at


cdef void _merge_sort(Strip* s) noexcept nogil:
    cdef int64_t width = 1, low, middle, high, a, b, to
    cdef int64_t* swap
    while width < s.count:
        low = 0
        while low < s.count:
            middle = min(low + width, s.count)
            high = min(low + 2 * width, s.count)
            a = low
            b = middle
            for to in range(low, high):
                if b >= high or (a < middle and s.keys[a] <= s.keys[b]):
                    s.scratch[to] = s.keys[a]
                    a += 1
                else:
                    s.scratch[to] = s.keys[b]
                    b += 1
            low = high
        swap = s.keys
        s.keys = s.scratch
        s.scratch = swap
        width *= 2


cdef void strip_clear(Strip* s) noexcept nogil:
    """Forget all keys."""
    cdef int64_t i
    for i in range(s.count):
        s.seen[s.keys[i] >> 6] = 0
    s.count = 0
    s.low = 0
    s.high = 0
