# SPDX-License-Identifier: MIT
"""The threads that run the parts of a machine."""

from libc.stdint cimport int64_t

from fuseflow.sim.engine.parts cimport Crew


cdef bint run_parts(Crew* crew, int64_t nanoseconds) noexcept nogil
