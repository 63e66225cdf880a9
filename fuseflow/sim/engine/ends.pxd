# SPDX-License-Identifier: MIT
"""Rules of the units at which streams begin, end and split."""

from libc.stdint cimport int64_t, uint8_t

from fuseflow.sim.engine.states cimport LevelWriteState, ValWriteState
from fuseflow.sim.engine.unit cimport Unit


cdef bint step_source(Unit* u) noexcept nogil
cdef bint step_root(Unit* u) noexcept nogil
cdef bint step_sink(Unit* u) noexcept nogil
cdef bint step_repsig(Unit* u) noexcept nogil
cdef bint step_broadcast(Unit* u) noexcept nogil
cdef bint step_level_write(Unit* u) noexcept nogil
cdef bint step_val_write(Unit* u) noexcept nogil
cdef bint reserve_coordinates(Unit* u, LevelWriteState* s, int64_t more) noexcept nogil
cdef bint reserve_values(Unit* u, ValWriteState* s, int64_t more) noexcept nogil
cdef bint close_segment(Unit* u, LevelWriteState* s) noexcept nogil
cdef bint write_coordinate(Unit* u, LevelWriteState* s, int64_t crd) noexcept nogil
cdef bint write_value(Unit* u, ValWriteState* s, bint placed) noexcept nogil
cdef bint same_kind(uint8_t a, uint8_t b) noexcept nogil
