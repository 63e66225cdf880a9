# SPDX-License-Identifier: MIT
"""Strip: sums by key in a plain array, for keys that are not too large.

An absent key holds the neutral element of the fold (-0.0 for sums, which changes no summand), so
combining needs no test. Keys low..high-1 are all present; other ones that are present are marked
in a bit map and listed in order of arrival.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from fuseflow.sim.engine.pool cimport Pool
from fuseflow.sim.engine.states cimport Fold


cdef enum:
    STRIP_LIMIT = 4194304  # keys from here on need another store


cdef struct Strip:
    float* sums  # `width` per key, `room` of them
    uint64_t* seen  # a bit per key that is listed
    int64_t room
    int64_t low  # all keys of low..high-1 are present
    int64_t high
    int64_t* keys  # the other ones that are present
    int64_t* scratch  # of the sort
    int64_t count
    int64_t key_room
    int32_t width
    Fold op
    Pool* pool


cdef bint strip_reserve(Strip* s, int64_t keys, int64_t more) noexcept nogil
cdef void strip_add_range(Strip* s, int64_t first, const float* values, int64_t step,
                          int64_t n) noexcept nogil
cdef void strip_add_keys(Strip* s, const int64_t* keys, const float* values, int64_t step,
                         int64_t n) noexcept nogil
cdef void strip_sort(Strip* s) noexcept nogil
cdef void strip_clear(Strip* s) noexcept nogil
