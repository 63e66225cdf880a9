# SPDX-License-Identifier: MIT
"""Rules of the units that compute numbers."""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.states cimport AluState, Fold, ReduceState
from fuseflow.sim.engine.unit cimport Unit


cdef enum ReducePhase:
    REDUCE_TAKE
    REDUCE_SHAPE  # retire from the shape stream what a stop closes
    REDUCE_SHAPE_STOP
    REDUCE_EMIT
    REDUCE_SEND


cdef bint step_array(Unit* u) noexcept nogil
cdef bint step_alu(Unit* u) noexcept nogil
cdef bint step_reduce(Unit* u) noexcept nogil
cdef void fold(Fold op, float* total, const float* value, int64_t width) noexcept nogil
cdef void fold_values(ReduceState* s, const float* values, int64_t step, int64_t n,
                      int64_t width) noexcept nogil
cdef void finish_total(ReduceState* s, int64_t width) noexcept nogil
cdef void fold_missing(Fold op, float* total, const float* fill, int64_t width,
                       int64_t times) noexcept nogil
cdef bint take_shape(Unit* u, int32_t port) noexcept nogil
