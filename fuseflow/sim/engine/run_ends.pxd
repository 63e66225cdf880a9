# SPDX-License-Identifier: MIT
"""Rules by runs of the units at which streams begin, end and split."""

from libc.stdint cimport int64_t

from fuseflow.sim.engine.ring cimport Chan
from fuseflow.sim.engine.states cimport LevelWriteState, ValWriteState
from fuseflow.sim.engine.unit cimport Unit


cdef void run_repsig(Unit* u) noexcept nogil
cdef void run_broadcast(Unit* u) noexcept nogil
cdef void run_repeat(Unit* u) noexcept nogil
cdef void run_level_write(Unit* u) noexcept nogil
cdef void run_val_write(Unit* u) noexcept nogil
cdef bint append_coordinates(Unit* u, LevelWriteState* s, Chan* c, int64_t n) noexcept nogil
cdef bint append_values(Unit* u, ValWriteState* s, Chan* c, int64_t n) noexcept nogil
