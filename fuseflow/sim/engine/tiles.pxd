# SPDX-License-Identifier: MIT
"""Functions of tiles, and the one dispatch for numbers and tiles alike."""

from libc.stdint cimport int64_t

from fuseflow.sim.engine.states cimport AluState


cdef void apply(AluState* s, const float* a, int64_t step_a, const float* b, int64_t step_b,
                float* out, int64_t n, int64_t width) noexcept nogil
