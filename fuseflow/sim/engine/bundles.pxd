# SPDX-License-Identifier: MIT
"""Bundles: several lists in one entry, for units that treat all tokens alike (see ring.pxd, Mark).

A `Span` is the part of the bundle at the head of a channel that a rule works on: whole lists, from
the first one on.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.pool cimport Block
from fuseflow.sim.engine.ring cimport (
    ABSENT, CTL_STOP, Chan, Entry, Mark, behind_head, head_entry, head_stamp, values_left,
)
from fuseflow.sim.engine.unit cimport Unit


cdef enum:
    BUNDLE_VALUES = 512  # a bundle under construction ends at so many values
    BUNDLE_LISTS = 128  # or at so many lists
    BUNDLE_LENGTH = 32  # longer lists are faster as entries of their own
    STRIDE = 8  # lists are filled in strides, which may write so far beyond their end


cdef struct Span:
    int32_t lists
    int32_t n  # values of the first list
    int64_t values  # of all lists
    uint8_t ctl  # stop of the first list
    bint whole  # all lists of a bundle that nobody has begun to read
    Mark* marks  # of the lists but the first
    Block* block  # of the marks
    int64_t first  # stamp of the first token
    int64_t slope


cdef bint span_of(Chan* c, Span* s) noexcept nogil
cdef bint common_span(Span* a, Span* b) noexcept nogil
cdef bint fire_span(Unit* u, Span* s, int64_t cost) noexcept nogil
cdef bint begin_span(Unit* u, Span* s, int64_t arrival) noexcept nogil
cdef Entry* send_span(Chan* c, uint8_t kind, Span* s) noexcept nogil
cdef void sent_span(Chan* c, Entry* e, Span* s, Block* block) noexcept nogil
cdef void drop_span(Chan* c, Span* s) noexcept nogil
cdef void forward_span(Chan* c, Entry* source, Span* s) noexcept nogil
cdef Mark* new_marks(Chan* c, int32_t lists) noexcept nogil
cdef void close_marks(Mark* marks, Span* s) noexcept nogil


cdef inline bint outer_in_time(Chan* outer, int64_t begin, int64_t end, uint8_t stop,
                               bint lookahead) noexcept nogil:
    """Whether the outer stream has an element at `begin` and at `end` what a stop asks for."""
    cdef uint8_t behind
    cdef int64_t stamp
    if values_left(outer) == 0 or head_entry(outer).kind == ABSENT or head_stamp(outer) > begin:
        return False
    if not lookahead and not stop & 7:
        return True
    if not behind_head(outer, &behind, &stamp) or stamp > end:
        return False
    if stop & 7:
        return behind == stop - 1
    return not behind & CTL_STOP


cdef inline void cut_span(Span* s, int32_t lists, int64_t values) noexcept nogil:
    """Keep the first lists of a span."""
    s.whole = s.whole and lists == s.lists
    s.lists = lists
    s.values = values


cdef inline void fill_range(int64_t* place, int64_t first, int64_t step, int64_t n) noexcept nogil:
    """Write first, first + step, .. in whole strides: no loop count to be guessed wrong."""
    cdef int64_t i = 0, k
    while True:
        for k in range(STRIDE):
            place[i + k] = first + (i + k) * step
        i += STRIDE
        if i >= n:
            return


cdef inline void fill_numbers(float* place, float value, int64_t n) noexcept nogil:
    """Write a number n times, in whole strides."""
    cdef int64_t i = 0, k
    while True:
        for k in range(STRIDE):
            place[i + k] = value
        i += STRIDE
        if i >= n:
            return
