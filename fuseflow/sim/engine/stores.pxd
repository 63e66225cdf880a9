# SPDX-License-Identifier: MIT
"""Rules of the units that write arrays through a memory that takes time."""

from fuseflow.sim.engine.unit cimport Unit


cdef bint step_level_store(Unit* u) noexcept nogil
cdef bint step_val_store(Unit* u) noexcept nogil
cdef void run_level_store(Unit* u) noexcept nogil
cdef void run_val_store(Unit* u) noexcept nogil
