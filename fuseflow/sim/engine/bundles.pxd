# SPDX-License-Identifier: MIT
"""Bundles: several lists in one entry, for units that treat all tokens alike (see ring.pxd, Mark).

A `Span` is the part of the bundle at the head of a channel that a rule works on: whole lists, from
the first one on. Its times are those of all tokens, values and stops, one after the other.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.pool cimport Block
from fuseflow.sim.engine.ring cimport (
    CTL_STOP, RUN_LIMIT, Chan, Entry, Mark, Payload, absent_at_head, behind_head, remove_ctl,
    remove_values, values_left,
)
from fuseflow.sim.engine.runs cimport Times, raise_times, time_of
from fuseflow.sim.engine.unit cimport Unit


cdef enum:
    BUNDLE_TOKENS = RUN_LIMIT  # a bundle has at most so many values and stops,
    BUNDLE_LISTS = 128  # lists
    BUNDLE_VALUES = RUN_LIMIT - BUNDLE_LISTS  # and values
    BUNDLE_LENGTH = 256  # longer lists are faster as entries of their own
    LISTED = 8  # lists of so many values on average are worth payloads of their own
    STRIDE = 8  # lists are filled in strides, which may write so far beyond their end


cdef struct Span:
    int32_t lists
    int32_t n  # values of the first list
    int64_t values  # of all lists
    uint8_t ctl  # stop of the first list
    bint whole  # all lists of a bundle that nobody has begun to read
    Mark* marks  # of the lists but the first
    Block* block  # of the marks
    Times t


cdef bint span_of(Chan* c, Span* s) noexcept nogil
cdef bint common_span(Span* a, Span* b) noexcept nogil
cdef void cut_span(Span* s, int32_t lists) noexcept nogil
cdef void fire_span(Unit* u, Span* s, int64_t cost) noexcept nogil
cdef void begin_span(Unit* u, Span* s, int64_t arrival) noexcept nogil
cdef void end_span(Unit* u, Span* s) noexcept nogil
cdef int64_t start_of_array(Span* s, int64_t at, int64_t n, int64_t cost) noexcept nogil
cdef Entry* send_span(Chan* c, uint8_t kind, Span* s) noexcept nogil
cdef void sent_span(Chan* c, Entry* e, Span* s, Block* block) noexcept nogil
cdef void drop_span(Chan* c, Span* s) noexcept nogil
cdef void forward_span(Chan* c, Entry* source, Span* s) noexcept nogil
cdef void send_span_ints(Chan* c, int64_t* ints, const uint8_t* holes, Block* block,
                         Span* s) noexcept nogil
cdef void send_span_numbers(Chan* c, const float* numbers, int64_t step, const uint8_t* holes,
                            Block* block, Span* s) noexcept nogil
cdef Payload* new_payloads(Chan* c, int64_t lists, int64_t more) noexcept nogil
cdef void send_lists(Chan* c, uint8_t kind, const Payload* payloads, int64_t step, Block* block,
                     Span* s) noexcept nogil
cdef const int64_t* flat_ints(Entry* e, Span* s, int64_t* room) noexcept nogil
cdef const float* flat_numbers(Entry* e, Span* s, float* room, int64_t* step) noexcept nogil
cdef Mark* new_marks(Chan* c, int32_t lists) noexcept nogil
cdef void close_marks(Mark* marks, Span* s) noexcept nogil


cdef inline int32_t list_length(Span* s, int32_t list) noexcept nogil:
    """Return how many values a list of the span has."""
    return s.marks[list - 1].n if list else s.n


cdef inline uint8_t list_stop(Span* s, int32_t list) noexcept nogil:
    """Return the stop of a list of the span."""
    return <uint8_t> s.marks[list - 1].ctl if list else s.ctl


cdef inline int64_t tokens_of(Span* s) noexcept nogil:
    """Return how many tokens the span has, values and stops."""
    return s.values + s.lists


cdef inline void delay_span(Unit* u, Span* s, int64_t at, int64_t stamp) noexcept nogil:
    """Let token `at` of a span, and with it those behind it, be fired at a stamp or later."""
    if time_of(&s.t, at) < stamp:
        raise_times(u, &s.t, at, stamp, u.ii, tokens_of(s))


cdef inline int64_t start_of(Span* s, int64_t at, int64_t n, int64_t cost) noexcept nogil:
    """Return when n tokens from `at` on, of some cost each, can begin so as never to wait."""
    cdef int64_t first
    if s.t.explicit:
        return start_of_array(s, at, n, cost)
    first = s.t.first + s.t.slope * at
    return first + (s.t.slope - cost) * (n - 1) if s.t.slope > cost else first


cdef inline bint sees_outer(Chan* outer, uint8_t stop, bint lookahead, int64_t* behind) noexcept nogil:
    """Whether the element of an outer stream is there that ends with an inner stop.

    Tells when the outer stop behind it comes, or any token if there is lookahead; 0 if that does
    not matter. False if the rule by tokens must decide.
    """
    cdef uint8_t ctl
    behind[0] = 0
    if values_left(outer) == 0 or absent_at_head(outer):
        return False
    if not lookahead and not stop & 7:
        return True
    if not behind_head(outer, &ctl, behind):
        return False
    return ctl == stop - 1 if stop & 7 else not ctl & CTL_STOP


cdef inline void retire_outer(Chan* outer, uint8_t stop) noexcept nogil:
    """Retire the element of an outer stream that ends with an inner stop, with its own stop."""
    remove_values(outer, 1)
    if stop & 7:
        remove_ctl(outer)


cdef inline bint are_long(Span* s) noexcept nogil:
    """Whether lists are so long that each is worth a payload of its own."""
    return s.values >= LISTED * s.lists


cdef inline bint are_below(const int64_t* ints, int64_t n, int64_t bound) noexcept nogil:
    """Whether n integers are in 0 .. bound - 1."""
    cdef int64_t i, bits = 0
    for i in range(n):
        bits |= ints[i] | (bound - 1 - ints[i])
    return bits >= 0


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
