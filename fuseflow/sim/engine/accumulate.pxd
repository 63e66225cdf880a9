# SPDX-License-Identifier: MIT
"""Sparse accumulator: rule, and the store of its entries."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.ring cimport Entry
from fuseflow.sim.engine.states cimport Fold
from fuseflow.sim.engine.strip cimport Strip
from fuseflow.sim.engine.unit cimport Unit


cdef enum:
    MAX_ORDER = 7


cdef struct SpaccState:
    Fold op
    int32_t order
    int64_t full[MAX_ORDER]  # by output port: extent of the key if it is listed densely, else 0
    const float* missing
    const float* fill
    int64_t extent  # -1: no correction
    int32_t width  # floats of a value
    bint open[MAX_ORDER + 1]  # by input port: its list has had an element
    uint8_t expected[MAX_ORDER + 1]  # by input port: stop that must come next, 0 for any
    # Entries of the list under way: in a strip, or in order of arrival behind a table.
    bint in_strip
    Strip strip
    int64_t count
    int64_t room
    int64_t* keys  # `order` per entry, outermost first
    float* values  # `width` per entry
    bint is_wide
    double* sums  # the same while they grow, if they are wide
    int64_t* uses  # values that went into an entry
    int32_t* order_of  # entries by ascending key
    int32_t* scratch  # of the sort
    # Index of the entries by key.
    int32_t* table  # entry + 1, 0 for none
    int64_t table_room
    int64_t recent  # entry that was combined last: the next one often follows it


cdef bint add_entry(Unit* u, SpaccState* s, const int64_t* keys,
                    const float* value) noexcept nogil
cdef int64_t add_known(SpaccState* s, const int64_t* keys, Entry* crd, int64_t at,
                       const float* values, int64_t step, int64_t n) noexcept nogil
cdef bint leave_strip(Unit* u, SpaccState* s) noexcept nogil
cdef bint step_spacc(Unit* u) noexcept nogil
