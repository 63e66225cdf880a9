# SPDX-License-Identifier: MIT
"""Where to cut a machine into parts that take about the same time."""

from libc.stdint cimport int32_t

from fuseflow.sim.engine.parts cimport Crew


cdef bint prepare_cut(Crew* crew) noexcept nogil
cdef void begin_timing(Crew* crew) noexcept nogil
cdef int32_t plan_cut(Crew* crew) noexcept nogil
