# SPDX-License-Identifier: MIT
"""The DRAM: channels with banks, rows, a data bus and a controller that may reorder."""

from libc.stdint cimport int64_t

from fuseflow.sim.engine.memory cimport Memory, Request


cdef bint dram_submit(Memory* m, Request* request) noexcept nogil
cdef int64_t dram_start(Memory* m) noexcept nogil
cdef bint dram_serve(Memory* m, int64_t bound) noexcept nogil
