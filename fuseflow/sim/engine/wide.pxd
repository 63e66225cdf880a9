# SPDX-License-Identifier: MIT
"""Folds in double precision, for machines whose accumulators are wide (`accumulate` f64)."""

from libc.stdint cimport int64_t

from fuseflow.sim.engine.states cimport Fold, ReduceState


cdef void fold_wide(Fold op, double* total, const float* values, int64_t step, int64_t n,
                    int64_t width) noexcept nogil
cdef void fold_missing_wide(Fold op, double* total, const float* fill, int64_t width,
                            int64_t times) noexcept nogil
cdef void finish_wide(ReduceState* s, int64_t width) noexcept nogil
cdef void widen(const float* number, double* total, int64_t width) noexcept nogil
cdef void narrow(const double* total, float* number, int64_t width) noexcept nogil
