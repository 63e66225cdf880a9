# SPDX-License-Identifier: MIT
"""From the configuration of a memory to its state, and from a unit to its clients."""

from libc.stdint cimport int32_t

from fuseflow.sim.engine.memory cimport Memory
from fuseflow.sim.engine.pool cimport Pool
from fuseflow.sim.engine.unit cimport Unit


cdef int open_memory(Memory* m, Pool* pool, object config, int32_t n_units,
                     int32_t n_chans) except -1
cdef int attach_unit(Unit* u, Memory* m, object unit, object config, int32_t client,
                     int32_t owner) except -1
