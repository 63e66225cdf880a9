# SPDX-License-Identifier: MIT
"""How far memory may look ahead: no client asks for anything before the horizon."""

from libc.stdint cimport int64_t

from fuseflow.sim.engine.memory cimport Memory
from fuseflow.sim.engine.net cimport Net


cdef int64_t horizon(Memory* m, int64_t start, Net* net) noexcept nogil
cdef int64_t horizon_of_clients(Memory* m, int64_t start, Net* net) noexcept nogil
