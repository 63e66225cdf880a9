# SPDX-License-Identifier: MIT
"""How far memory may look ahead: no client asks for anything before the horizon."""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.memory cimport Memory
from fuseflow.sim.engine.unit cimport Unit


cdef int64_t horizon(Memory* m, int64_t start, Unit* units, int32_t n_units,
                     const int32_t* producers, int64_t limit) noexcept nogil
