# SPDX-License-Identifier: MIT
"""Writing and reducing many short lists at once (see bundle_ends.pyx)."""

from fuseflow.sim.engine.states cimport LevelWriteState, ReduceState, ValWriteState
from fuseflow.sim.engine.unit cimport Unit


cdef bint bundle_level_write(Unit* u, LevelWriteState* s) noexcept nogil
cdef bint bundle_val_write(Unit* u, ValWriteState* s) noexcept nogil
cdef bint bundle_reduce(Unit* u, ReduceState* s) noexcept nogil
