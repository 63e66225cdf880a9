# SPDX-License-Identifier: MIT
"""Sums by key in a plain array (see strip.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from fuseflow.sim.engine.pool cimport pool_resize
from fuseflow.sim.engine.scalar cimport combine, neutral
from fuseflow.sim.engine.states cimport FOLD_ADD


cdef extern from *:
    """
    static inline int lowest_bit(unsigned long long bits) { return __builtin_ctzll(bits); }
    """
    int lowest_bit(uint64_t bits) noexcept nogil


cdef bint strip_reserve(Strip* s, int64_t keys, int64_t more) noexcept nogil:
    """Make room for keys below `keys` and for listing `more` of them; False without memory."""
    cdef int64_t room = s.room if s.room else 64
    cdef int64_t listed = s.key_room if s.key_room else 64
    cdef int64_t i
    if keys > s.room:
        while room < keys:
            room *= 2
        s.sums = <float*> pool_resize(s.pool, s.sums, room * s.width * sizeof(float))
        s.seen = <uint64_t*> pool_resize(s.pool, s.seen, room / 8)
        if s.sums is NULL or s.seen is NULL:
            return False
        memset(<char*> s.seen + s.room / 8, 0, (room - s.room) / 8)
        for i in range(s.room * s.width, room * s.width):
            s.sums[i] = neutral(s.op)
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


cdef void strip_add_range(Strip* s, int64_t first, const float* values, int64_t step,
                          int64_t n) noexcept nogil:
    """Combine values into the keys first, first + 1, ..; room for them has been made."""
    cdef int64_t i
    cdef float* sums = s.sums + first * s.width
    if s.width > 1:
        for i in range(n):
            _add_tile(s, sums + i * s.width, values + i * step)
    elif s.op == FOLD_ADD and step == 1:
        for i in range(n):
            sums[i] = sums[i] + values[i]
    else:
        for i in range(n):
            sums[i] = combine(s.op, sums[i], values[i * step])
    if s.low <= first and first + n <= s.high:
        return
    if s.count == 0 and s.low == s.high:
        s.low = first
        s.high = first + n
    elif s.count == 0 and first <= s.high and first + n >= s.low:
        s.low = min(s.low, first)
        s.high = max(s.high, first + n)
    else:
        for i in range(first, first + n):
            _list_key(s, i)


cdef void strip_add_keys(Strip* s, const int64_t* keys, const float* values, int64_t step,
                         int64_t n) noexcept nogil:
    """Combine values into keys; room for them has been made."""
    cdef int64_t i
    if s.width > 1:
        for i in range(n):
            _add_tile(s, s.sums + keys[i] * s.width, values + i * step)
    elif s.op == FOLD_ADD:
        for i in range(n):
            s.sums[keys[i]] = s.sums[keys[i]] + values[i * step]
    else:
        for i in range(n):
            s.sums[keys[i]] = combine(s.op, s.sums[keys[i]], values[i * step])
    if _is_any_absent(s, keys, n):
        for i in range(n):
            _list_key(s, keys[i])


cdef inline bint _is_any_absent(Strip* s, const int64_t* keys, int64_t n) noexcept nogil:
    """Whether one of the keys is not present yet; mostly all are, and looking is cheap."""
    cdef int64_t i, outside
    cdef uint64_t absent = 0
    for i in range(n):
        outside = keys[i] < s.low or keys[i] >= s.high
        absent |= <uint64_t> outside & ~(s.seen[keys[i] >> 6] >> (keys[i] & 63))
    return absent & 1


cdef inline void _list_key(Strip* s, int64_t key) noexcept nogil:
    """List a key unless it is present."""
    cdef uint64_t bits = s.seen[key >> 6]
    cdef uint64_t bit = <uint64_t> 1 << (key & 63)
    cdef int64_t absent = (key < s.low or key >= s.high) and not bits & bit
    s.keys[s.count] = key
    s.count += absent
    s.seen[key >> 6] = bits | (bit if absent else 0)


cdef inline void _add_tile(Strip* s, float* sums, const float* value) noexcept nogil:
    cdef int32_t i
    for i in range(s.width):
        sums[i] = combine(s.op, sums[i], value[i])


cdef void strip_sort(Strip* s) noexcept nogil:
    """Bring the listed keys into ascending order."""
    cdef int64_t i, word, last_word, count = 0
    cdef int64_t least, largest
    cdef uint64_t bits
    cdef bint ascending = True
    if s.count == 0:
        return
    least = largest = s.keys[0]
    for i in range(1, s.count):
        ascending = ascending and s.keys[i - 1] < s.keys[i]
        least = min(least, s.keys[i])
        largest = max(largest, s.keys[i])
    if ascending:
        return
    if (largest - least) / 64 > 8 * s.count:
        _merge_sort(s)
        return
    last_word = largest >> 6
    for word in range(least >> 6, last_word + 1):
        bits = s.seen[word]
        while bits:
            s.keys[count] = word * 64 + lowest_bit(bits)
            bits &= bits - 1
            count += 1


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
    cdef int64_t i, j
    cdef float zero = neutral(s.op)
    for i in range(s.count):
        s.seen[s.keys[i] >> 6] = 0
        for j in range(s.keys[i] * s.width, (s.keys[i] + 1) * s.width):
            s.sums[j] = zero
    for i in range(s.low * s.width, s.high * s.width):
        s.sums[i] = zero
    s.count = 0
    s.low = 0
    s.high = 0
